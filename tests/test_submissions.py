"""Whose file is it, and what is in it: rosters, names and files as people and learning platforms make them."""

import io
import json
import os
import socket
import unicodedata
import zipfile

import pytest

from grading.notebooks import MOST_ENTRIES, NotGradable, read_notebook
from grading.roster import Student, read_roster
from grading.submissions import collect

NOTEBOOK = json.dumps({"cells": [{"cell_type": "code", "source": "x = 1", "metadata": {}, "outputs": []}]})


def handed_in(folder, names, content=NOTEBOOK):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, (1000 + number, 1000 + number))
    return folder


def whose(folder, roster, homework="hw01"):
    """File and kind of status of each student, by name."""
    return {one.student: (one.file, one.status.split(":")[0]) for one in collect(folder, homework, roster)}


# rosters

ROWS = [Student("ann", "Ann Müller", "4711"), Student("bob", "Bob Good", "")]
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,hw01 (77)\n,,,,,Manual Posting\n"
    '    Points Possible,,,,,20.00\n"Müller, Ann",4711,u1,ann@uni.example,Section 1,\n'
    '"Good, Bob",4712,u2,bob@uni.example,Section 1,\n"Student, Test",99,,,Section 1,\n'
)
MOODLE_WORKSHEET = (
    "Identifier,Full name,Email address,Status,Grade,Maximum grade\n"
    "Participant 101,Ann Müller,ann@uni.example,Submitted for grading,,20\n"
    "Participant 205,Bob Good,bob@uni.example,No submission,,20\n"
)
MOODLE_GRADES = (
    "First name,Last name,ID number,Institution,Department,Email address,Assignment: hw01 (Real)\n"
    "Ann,Müller,ann,,,ann.mueller@uni.example,-\nBob,Good,bob,,,bob.good@uni.example,-\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["student,name,canvas_id", "Student,Name,Canvas_ID", " STUDENT , NAME,CANVAS_ID"])
def test_a_roster_as_spreadsheets_write_it(tmp_path, encoding, separator, header):
    lines = [header, "Ann,Ann Müller,4711", "bob,Bob Good,", ",,"]
    text = "\r\n".join(lines).replace(",", separator) + "\r\n"
    (tmp_path / "roster.csv").write_bytes(text.encode(encoding))
    assert read_roster(tmp_path / "roster.csv") == ROWS


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nstudent;name\nann;A\n",
        '"student","name"\n"ann","A"\n',
        "\nstudent\nann\n",
        ";;\nstudent;name;x\nann;A;\n",
        ',,\n\n student, name\nann, "Lee, A"\n',
    ],
)
def test_a_roster_with_quirks(tmp_path, text):
    (tmp_path / "roster.csv").write_text(text, encoding="utf-8")
    assert [student.student for student in read_roster(tmp_path / "roster.csv")] == ["ann"]


@pytest.mark.parametrize("export, numbers", [(CANVAS, "canvas"), (MOODLE_WORKSHEET, "moodle"), (MOODLE_GRADES, None)])
def test_a_roster_that_a_platform_exports(tmp_path, export, numbers):
    (tmp_path / "roster.csv").write_text(export, encoding="utf-8-sig")
    students = read_roster(tmp_path / "roster.csv")
    assert [student.student for student in students] == ["ann", "bob"]
    assert all("Müller" in student.name or "Good" in student.name for student in students)
    if numbers:
        assert [getattr(student, numbers) for student in students] == (
            ["4711", "4712"] if numbers == "canvas" else ["101", "205"]
        )


@pytest.mark.parametrize("header", ["Canvas ID", "canvas_id", "CANVAS  ID", "Canvas_Id"])
def test_a_header_with_blanks_or_underscores_is_the_same(tmp_path, header):
    (tmp_path / "roster.csv").write_text(f"student,{header}\nann,4711\n", encoding="utf-8")
    assert read_roster(tmp_path / "roster.csv") == [Student("ann", canvas="4711")]


@pytest.mark.parametrize(
    "text",
    [
        "Vorname,Nachname,ID-Nummer,Institution,Abteilung,E-Mail-Adresse\nAnn,Müller,ann,,,x@uni.example\n",
        "Vorname;Nachname;Anmeldename;E-Mail-Adresse\nAnn;Müller;ann;x@uni.example\n",
        "Vollständiger Name,E-Mail-Adresse,Status\nAnn Müller,ann@uni.example,Abgegeben\n",
    ],
)
def test_a_roster_of_a_german_moodle(tmp_path, text):
    (tmp_path / "roster.csv").write_text(text, encoding="utf-8")
    assert read_roster(tmp_path / "roster.csv") == [Student("ann", "Ann Müller")]


def test_an_encoding_that_was_guessed_is_said_once(tmp_path, capsys):
    for encoding in ("utf-8", "utf-16", "cp1252"):
        assert capsys.readouterr().err == ""
        (tmp_path / "roster.csv").write_text("student,name\nann,Ann Müller\nbob,Böb\n", encoding=encoding)
        read_roster(tmp_path / "roster.csv")
    assert capsys.readouterr().err.count("roster.csv is no UTF-8") == 1


@pytest.mark.parametrize(
    "text, line",
    [
        ('student,name\nann,"Ann\nbob,Bob\ncy,Cy\n', 2),
        ('student,name\nann,Ann\nbob,"Bob\ncy,"Cy"\ndora,Dora\n', 3),
        ('student,name\nann,"Ann\nbob,Bob"\ncy,Cy\n', 2),
        ('student,name\n\n"ann,Ann\nbob",Bob\ncy,Cy\n', 3),
        ('student,name,group\nann,Ann,"A\nbob,Bob,B"\ncy,Cy,A\n', 2),
        ('student\nann\n"bob\ncy"\n', 3),
    ],
)
def test_a_quotation_mark_that_is_not_closed_swallows_nobody(tmp_path, text, line):
    (tmp_path / "roster.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"line {line}: a quotation mark begins there"):
        read_roster(tmp_path / "roster.csv")


def test_a_comment_of_several_lines_is_one_cell(tmp_path):
    text = 'Identifier,Full name,Email address,Feedback comments\n1,Ann,ann@x.y,"good,\nbut ""late"""\n2,Bob,bob@x.y,\n'
    (tmp_path / "roster.csv").write_text(text, encoding="utf-8")
    assert [student.student for student in read_roster(tmp_path / "roster.csv")] == ["ann", "bob"]


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"name\nann\n", "no column `student`, but name"),
        (b"student\nann\nAnn\n", "ann more than once"),
        ("student\nren\u00e9\nrene\u0301\n".encode(), "more than once"),
        (b"student,canvas_id\nann,1\nbob,1\n", "Canvas number 1 more than once"),
        (b"student\n", "names no student"),
        (b"", "names no student"),
        ("Prénom,Nom,Adresse de courriel\nAnn,Lee,a@uni.example\n".encode(), "Moodle in English or German"),
        (b"PK\3\4 a workbook", "Save it from the spreadsheet as CSV"),
        (b"student\n1.23E+07\n", "made a number of the name"),
        (b'student\n"ann\n\0', "names no student|no CSV|ann"),
    ],
)
def test_a_roster_that_cannot_be_read_gets_a_sentence(tmp_path, content, sentence):
    (tmp_path / "roster.csv").write_bytes(content)
    if sentence.endswith("|ann"):  # read or refused, but never a traceback
        try:
            read_roster(tmp_path / "roster.csv")
        except ValueError:
            pass
        return
    with pytest.raises(ValueError, match=sentence):
        read_roster(tmp_path / "roster.csv")


# whose file


ANNS = [Student("amiller1", "Anna Miller"), Student("amiller2", "Anna Miller"), Student("bo", "Bo Lee")]


def test_namesakes_are_never_told_apart_by_guessing(tmp_path):
    folder = "Anna Miller_{}_assignsubmission_file/hw01.ipynb"
    handed_in(tmp_path, [folder.format(101), folder.format(205), "bo.ipynb"])
    found = {one.student: one for one in collect(tmp_path, "hw01", ANNS)}
    for student in ("amiller1", "amiller2"):
        one = found[student]
        assert one.path is None and one.status.startswith("not decided") and "amiller1 or of amiller2" in one.status
        assert "Miller_101" in one.status and "Miller_205" in one.status
    assert found["bo"].status == ""


def test_a_participants_number_tells_namesakes_apart(tmp_path):
    folder = "Anna Miller_{}_assignsubmission_file/hw01.ipynb"
    handed_in(tmp_path, [folder.format(101), folder.format(205)])
    roster = [Student("amiller1", "Anna Miller", moodle="205"), Student("amiller2", "Anna Miller", moodle="101")]
    assert whose(tmp_path, roster) == {"amiller1": (folder.format(205), ""), "amiller2": (folder.format(101), "")}
    assert list(whose(tmp_path, None)) == ["annamiller (101)", "annamiller (205)"]


def test_two_accounts_of_one_name_on_the_roster_are_not_taken_for_one_student(tmp_path):
    names = ["leebo_77_1_hw01.ipynb", "leebo_78_2_hw01.ipynb"]
    handed_in(tmp_path, names)
    (one,) = collect(tmp_path, "hw01", [Student("bo", "Bo Lee")])
    assert one.path is None and one.status.startswith("not decided") and all(name in one.status for name in names)


def test_a_number_of_somebody_else_is_not_overruled_by_the_name(tmp_path):
    handed_in(tmp_path, ["leebo_99_1_hw01.ipynb"])
    assert whose(tmp_path, [Student("bo", "Bo Lee", canvas="77")])["bo"] == ("", "no submission")


def test_a_sure_file_counts_and_an_unsure_one_is_noted(tmp_path):
    handed_in(tmp_path, ["amiller1/hw01.ipynb", "Anna Miller_9_assignsubmission_file/hw01.ipynb"])
    found = {one.student: one for one in collect(tmp_path, "hw01", ANNS)}
    assert (
        found["amiller1"].file == "amiller1/hw01.ipynb"
        and "may be of amiller1 or of amiller2" in found["amiller1"].note
    )
    assert found["amiller2"].status.startswith("not decided")


@pytest.mark.parametrize(
    "name, student",
    [
        ("anna/hw01_2026_11_05.ipynb", "anna"),
        ("anna/bob_hw01.ipynb", "anna"),
        ("week 3/anna/hw01.ipynb", "anna"),
        ("bob's group/hw01 anna.ipynb", "anna"),
        ("hw01_anna.ipynb", "anna"),
        ("anna (2).ipynb", "anna"),
        ("ANNA.IPYNB", "anna"),
        ("Anna Lee hw01.ipynb", "anna"),
        ("Lee, Anna.ipynb", "anna"),
        ("leeanna_LATE_4_5_hw01-2.ipynb", "anna"),
        ("anna.x-hw01.ipynb", "anna.x"),
        ("annabob.ipynb", None),
        ("hw01_2026_11_05.ipynb", None),
    ],
)
def test_whose_file_it_is(tmp_path, name, student):
    roster = [Student("anna", "Anna Lee"), Student("bob", "Bob Good"), Student("anna.x", "Someone Else")]
    handed_in(tmp_path, [name])
    found = [one.student for one in collect(tmp_path, "hw01", roster) if one.path and one.on_roster]
    assert found == ([student] if student else [])
    assert [one for one in collect(tmp_path, "hw01", roster) if one.file == name]  # named in any case


def test_two_names_in_one_file_name_are_not_decided(tmp_path):
    handed_in(tmp_path, ["anna_bob_hw01.ipynb"])
    found = collect(tmp_path, "hw01", [Student("anna"), Student("bob"), Student("cy")])
    assert [one.status.split(":")[0] for one in found] == ["not decided", "not decided", "no submission"]
    assert all("anna or of bob" in one.status for one in found[:2])


def test_a_folder_that_contradicts_its_file_is_noted(tmp_path):
    handed_in(tmp_path, ["anna/bob_hw01.ipynb"])
    found = {one.student: one for one in collect(tmp_path, "hw01", [Student("anna"), Student("bob")])}
    assert "its own name bob" in found["anna"].note and found["bob"].status == "no submission"


NUMBERED = [Student(name) for name in ("anna.miller", "anna.miller2", "123", "1234", "s1", "s12", "s1_3", "bo")]
COPIES = ["{}.ipynb", "{}_hw01.ipynb", "hw01_{}.ipynb", "{}/hw01.ipynb", "week 3/{}/draft.ipynb", "{}.ipynb.txt"]


@pytest.mark.parametrize("pattern", COPIES)
@pytest.mark.parametrize(
    "name, student",
    [
        ("anna.miller (2)", "anna.miller"),
        ("anna.miller(2)", "anna.miller"),
        ("anna.miller_(12)", "anna.miller"),
        ("anna.miller[2]", "anna.miller"),
        ("anna.miller2 (2)", "anna.miller2"),
        ("final anna.miller (2)", "anna.miller"),
        ("123 (4)", "123"),
        ("s1 (2)", "s1"),
        ("anna.miller2", "anna.miller2"),
        ("s12", "s12"),
    ],
)
def test_a_number_in_brackets_is_no_part_of_a_name(tmp_path, pattern, name, student):
    handed_in(tmp_path, [pattern.format(name)])
    found = [one.student for one in collect(tmp_path, "hw01", NUMBERED) if one.status == ""]
    assert found == [student]


@pytest.mark.parametrize("pattern", COPIES)
@pytest.mark.parametrize(
    "name, both",
    [
        ("anna.miller 2", "anna.miller or of anna.miller2"),
        ("anna.miller-2", "anna.miller or of anna.miller2"),
        ("anna.miller_2", "anna.miller or of anna.miller2"),
        ("Anna_Miller - 2", "anna.miller or of anna.miller2"),
        ("final anna.miller 2", "anna.miller or of anna.miller2"),
        ("123 4", "123 or of 1234"),
        ("s1_2", "s1 or of s12"),
        ("s1 3", "s1 or of s1_3"),
    ],
)
def test_a_last_number_that_is_set_apart_may_be_of_two(tmp_path, pattern, name, both):
    handed_in(tmp_path, [pattern.format(name)])
    found = [one for one in collect(tmp_path, "hw01", NUMBERED) if one.file]
    assert [one.student for one in found] == both.split(" or of ")
    assert all(one.path is None and both in one.status for one in found)


def test_a_copy_beside_its_namesakes_file_is_nobody_elses(tmp_path):
    handed_in(tmp_path, ["anna.miller (2).ipynb", "anna.miller2_hw01.ipynb"])
    found = whose(tmp_path, NUMBERED)
    assert found["anna.miller"] == ("anna.miller (2).ipynb", "")
    assert found["anna.miller2"] == ("anna.miller2_hw01.ipynb", "")


@pytest.mark.parametrize(
    "name, student",
    [
        ("s1_3/hw01.ipynb", "s1_3"),  # the remedy: a folder that is called exactly so
        ("anna.miller_hw01-2.ipynb", "anna.miller"),
        ("bo-2.ipynb", "bo"),
        ("Bo Lee 2.ipynb", "bo"),
        ("Lee, Bo (2).ipynb", "bo"),
    ],
)
def test_a_number_after_the_only_name_that_fits_counts_copies(tmp_path, name, student):
    handed_in(tmp_path, [name])
    roster = [Student("bo", "Bo Lee") if one.student == "bo" else one for one in NUMBERED]
    assert [one.student for one in collect(tmp_path, "hw01", roster) if one.status == ""] == [student]


@pytest.mark.parametrize("path", ["bob/anna/hw01.ipynb", "bob/hw01/anna/x.ipynb", "bob/anna/hw01_anna.ipynb"])
def test_folders_that_contradict_each_other_decide_nothing(tmp_path, path):
    handed_in(tmp_path, [path])
    found = collect(tmp_path, "hw01", [Student("anna"), Student("bob")])
    assert all(one.path is None and "may be of anna or of bob" in one.status for one in found)


def test_every_name_in_a_path_that_says_another_is_noted(tmp_path):
    handed_in(tmp_path, ["anna/x/bob's review/cy_hw01.ipynb", "Anna_7_assignsubmission_file/bob/hw01.ipynb"])
    roster = [Student("anna", "Anna", moodle="7"), Student("bob"), Student("cy")]
    anna, bob, _ = collect(tmp_path, "hw01", roster)
    assert anna.status == "" and "the folder bob says bob" in anna.note and bob.status == "no submission"
    os.utime(tmp_path / "anna/x/bob's review/cy_hw01.ipynb", (9000, 9000))
    note = collect(tmp_path, "hw01", roster)[0].note
    assert "the folder bob's review says bob" in note and "its own name cy" in note


@pytest.mark.parametrize(
    "names, students",
    [
        (["anna/draft.ipynb", "anna/final.ipynb", "bob/draft.ipynb", "bob/final.ipynb"], ["anna", "bob"]),
        (["anna/draft.ipynb", "anna/final.ipynb", "bob/draft.ipynb", "bob/final.ipynb", "notes.txt"],
         ["anna", "bob", "notes"]),
        (["anna/draft.ipynb", "anna/final.ipynb", "bob/draft.ipynb", "bob/final.ipynb", "cy.ipynb"],
         ["anna", "bob", "cy"]),
        (["anna/hw01/a.ipynb", "anna/hw01/b.ipynb", "bob/hw01/a.ipynb"], ["anna", "bob"]),
        (["anna/src/a.ipynb", "bob/src/a.ipynb"], ["src (anna)", "src (bob)"]),
        (["anna_hw01.ipynb", "anna_hw01 (1).ipynb", "anna (2).ipynb",
          "anna - Copy.ipynb", "Copy of anna.ipynb", "anna copy 2.ipynb", "anna_hw01-1.ipynb"],
         ["anna"]),
        (["anna (1)/hw01.ipynb", "anna/hw01.ipynb", "bob/x.ipynb"], ["anna", "bob"]),
        (["week 1/anna.ipynb", "week 1/bob_hw01.ipynb"], ["anna", "bob"]),
        (["anna.ipynb", "late/bob.ipynb", "late/cy.ipynb"], ["anna", "bob", "cy"]),
    ],
)  # fmt: skip
def test_without_a_roster_different_people_stay_apart(tmp_path, names, students):
    handed_in(tmp_path, names)
    found = collect(tmp_path, "hw01", None)
    assert [one.student for one in found] == students
    assert sorted(name for one in found for name in (one.file, *one.others)) == sorted(names)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_names_are_compared_in_one_form(tmp_path, form):
    written = unicodedata.normalize(form, "René")
    handed_in(tmp_path, [f"{written}.ipynb"])
    roster = [Student("ren\u00e9"), Student("rene")]
    assert whose(tmp_path, roster)["ren\u00e9"][0] and whose(tmp_path, roster)["rene"] == ("", "no submission")


def test_letters_without_accents_fit_two_students_and_accents_one(tmp_path):
    roster = [Student("m1", "Bo Müller"), Student("m2", "Bo Muller"), Student("li", "李 明"), Student("wang", "王 明")]
    handed_in(tmp_path, ["mullerbo_1_2_hw01.ipynb", "李明_3_4_hw01.ipynb"])
    assert {name: status for name, (_, status) in whose(tmp_path, roster).items()} == {
        "m1": "not decided",
        "m2": "not decided",
        "li": "",
        "wang": "no submission",
    }
    handed_in(tmp_path / "b", ["Bo Müller_7_assignsubmission_file/hw01.ipynb"])
    assert whose(tmp_path / "b", roster)["m1"][1] == "" and whose(tmp_path / "b", roster)["m2"][1] == "no submission"


# what was found


def test_every_file_is_named_whatever_its_ending(tmp_path):
    names = ["anna_hw01.ipynb.txt", "bob/hw01.IPYNB", "eli_hw01.ipynb.json", "fay-hw01.ipynb (1)"]
    none = ["cy_hw01.html", "dora_4_5_hw01.tar.gz", "eve.7z"]
    handed_in(tmp_path, names + none)
    roster = [Student(name) for name in ("anna", "bob", "cy", "dora", "eli", "eve", "fay")]
    found = whose(tmp_path, roster)
    assert {name for name, (_, status) in found.items() if status == ""} == {"anna", "bob", "eli", "fay"}
    assert {file for file, status in found.values() if status == "no notebook"} == set(none)


def test_a_notebook_counts_before_another_file_and_before_another_homework(tmp_path):
    handed_in(tmp_path, ["anna/hw01.ipynb", "anna/hw02.ipynb", "anna/notes.pdf"])
    (one,) = collect(tmp_path, "hw01", [Student("anna")])
    assert (one.file, one.others) == ("anna/hw01.ipynb", ["anna/hw02.ipynb", "anna/notes.pdf"])


def test_what_is_no_file_stops_nobody(tmp_path):
    handed_in(tmp_path, ["anna.ipynb"])
    os.mkfifo(tmp_path / "bob.ipynb")
    (tmp_path / "cy.ipynb").mkdir()
    (tmp_path / "dora.ipynb").symlink_to("dora.ipynb")
    with socket.socket(socket.AF_UNIX) as here:
        here.bind(os.path.relpath(tmp_path / "eve.ipynb"))
    (tmp_path / "fay").symlink_to("/")
    weird = os.fsencode(tmp_path) + b"/gus_\xff\xfe.ipynb"
    with open(weird, "w", encoding="utf-8") as file:
        file.write(NOTEBOOK)
    roster = [Student(name) for name in ("anna", "bob", "cy", "dora", "eve", "fay", "gus")]
    found = {one.student: one for one in collect(tmp_path, "hw01", roster)}
    assert set(found) == {"anna", "bob", "cy", "dora", "eve", "fay", "gus"} and found["fay"].status
    read_notebook(found["anna"].path)
    read_notebook(found["gus"].path)
    found["gus"].file.encode("utf-8")
    for student, sentence in (("bob", "no ordinary"), ("cy", "a folder"), ("dora", "a link"), ("eve", "no ordinary")):
        with pytest.raises(NotGradable, match=sentence):
            read_notebook(found[student].path)


def test_files_of_nobody_are_named_by_what_they_are_called(tmp_path):
    handed_in(tmp_path, ["stranger.ipynb", "x/readme.md", "=cmd.ipynb"])
    found = [one for one in collect(tmp_path, "hw01", [Student("anna")]) if not one.on_roster]
    assert sorted(one.file for one in found) == ["=cmd.ipynb", "stranger.ipynb", "x/readme.md"]


@pytest.mark.parametrize("name", ["x" * 300, "absent"])
def test_an_error_of_looking_at_a_file_is_a_sentence(tmp_path, name):
    with pytest.raises(NotGradable, match="cannot be read"):
        read_notebook(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root enters every folder")
def test_a_folder_that_cannot_be_entered_stops_nobody(tmp_path):
    handed_in(tmp_path, ["anna/hw01.ipynb", "bob/hw01.ipynb"])
    (tmp_path / "bob").chmod(0o444)
    try:
        found = {one.student: one for one in collect(tmp_path, "hw01", [Student("anna"), Student("bob")])}
        assert found["anna"].status == found["bob"].status == ""
        read_notebook(found["anna"].path)
        with pytest.raises(NotGradable, match="cannot be read \\(Permission denied"):
            read_notebook(found["bob"].path)
    finally:
        (tmp_path / "bob").chmod(0o755)


def zipped(method=zipfile.ZIP_DEFLATED, **entries) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    "entries, said",
    [
        ({"a.ipynb": "{}", "b.ipynb": "{}"}, "2 notebooks instead of one: a.ipynb, b.ipynb"),
        ({"inner.zip": "PK", "notes.txt": "x"}, "0 notebooks instead of one: inner.zip"),
        ({"hw01.py": "x = 1"}, "0 notebooks instead of one: hw01.py"),
        ({}, "0 notebooks instead of one: nothing"),
        ({"hw01.ipynb": " " * 30_000_000}, "larger than 20 MB"),
    ],
)
def test_an_archive_is_named_with_what_was_found_in_it(tmp_path, entries, said):
    (tmp_path / "ann.zip").write_bytes(zipped(**entries))
    with pytest.raises(NotGradable, match=said):
        read_notebook(tmp_path / "ann.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_may_unpack_to_any_size_is_not_unpacked(tmp_path, method):
    """zipfile reads as much as asked for of a deflated entry, but a whole block of these: a gigabyte of 600 bytes."""
    (tmp_path / "ann.zip").write_bytes(zipped(method, **{"hw01.ipynb": NOTEBOOK}))
    with pytest.raises(NotGradable, match="packed in an unusual way"):
        read_notebook(tmp_path / "ann.zip")
    (tmp_path / "ann.zip").write_bytes(zipped(zipfile.ZIP_STORED, **{"hw01.ipynb": NOTEBOOK}))
    assert read_notebook(tmp_path / "ann.zip")


def test_an_archive_of_very_many_entries_is_not_listed(tmp_path):
    entries = {f"{number}.txt": "" for number in range(MOST_ENTRIES)}
    (tmp_path / "ann.zip").write_bytes(zipped(**entries, **{"hw01.ipynb": NOTEBOOK}))
    with pytest.raises(NotGradable, match="more than 10,000 entries"):
        read_notebook(tmp_path / "ann.zip")


@pytest.mark.parametrize("name", ["hw01.ipynb", "x/HW01.IPYNB", "hw01.ipynb.txt"])
def test_an_archive_with_one_notebook_is_read_whatever_both_are_called(tmp_path, name):
    for outside in ("ann.zip", "ann.ZIP", "ann.ipynb"):
        (tmp_path / outside).write_bytes(zipped(**{name: NOTEBOOK, "__MACOSX/._hw01.ipynb": "", ".x.ipynb": ""}))
        assert len(read_notebook(tmp_path / outside)[0]["cells"]) == 1


def test_no_damage_to_an_archive_does_more_than_make_it_unreadable(tmp_path):
    """Every byte of a small archive set to other values, and every length of it."""
    whole = zipped(**{"hw01.ipynb": NOTEBOOK})
    path = tmp_path / "ann.zip"
    for place in range(len(whole)):
        for byte in (0, 0xFF, whole[place] ^ 1):
            path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            _read_or_named(path)
        path.write_bytes(whole[:place])
        _read_or_named(path)


@pytest.mark.parametrize(
    "cell",
    [{}, {"cell_type": "code"}, {"source": "x"}, {"cell_type": 7, "source": "x"}, {"cell_type": "code", "source": {}},
     {"cell_type": "code", "source": [1]}, {"cell_type": "code", "source": None}, [], None],
)  # fmt: skip
def test_a_cell_of_any_kind_is_read_or_named(tmp_path, cell):
    (tmp_path / "ann.ipynb").write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    _read_or_named(tmp_path / "ann.ipynb")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_notebook_in_another_encoding_is_read(tmp_path, encoding):
    (tmp_path / "ann.ipynb").write_bytes(NOTEBOOK.encode(encoding))
    read_notebook(tmp_path / "ann.ipynb")


def _read_or_named(path):
    try:
        read_notebook(path)
    except NotGradable as reason:
        assert 0 < len(str(reason)) < 2000
