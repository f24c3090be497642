"""For instructors: release a homework, grade a folder of submissions. Students need none of it."""
