"""A bibliography whose entries begin with what a citation shows: *Shallue et al., 2019*, in alphabetical order."""

from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style
from pybtex.style.labels import BaseLabelStyle


def author_year(entry) -> str:
    """The label of an entry, as sphinxcontrib-bibtex writes its citations with ``author_year``."""
    people = [" ".join([*person.prelast_names, *person.last_names]) for person in entry.persons["author"]]
    names = f"{people[0]} et al." if len(people) > 2 else " and ".join(people)
    return f"{names}, {entry.fields['year']}".replace("{", "").replace("}", "")


class AuthorYearLabels(BaseLabelStyle):
    def format_labels(self, sorted_entries):
        return map(author_year, sorted_entries)


class AuthorYearStyle(Style):
    default_label_style = AuthorYearLabels


def setup(app):
    register_plugin("pybtex.style.formatting", "author_year", AuthorYearStyle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
