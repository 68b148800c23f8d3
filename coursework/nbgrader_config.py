"""nbgrader's own programs (formgrader above all) with this course's steps: none of them runs a cell.

Only texts stand here, no imports: if the course's package cannot be imported, a step fails instead of falling back to
nbgrader's own, which would run student code outside of the sandbox. `papertrail.coursework.gradebook` says the same.
"""

c = get_config()  # noqa: F821

STEPS = "papertrail.coursework.gradebook."
NBGRADER = "nbgrader.preprocessors."

c.CourseDirectory.course_id = "papertrail"
c.CourseDirectory.submitted_directory = "cleaned"
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError()"}
c.ClearSolutions.text_stub = "*Write your answer here.*"
c.GenerateAssignment.preprocessors = [STEPS + "RemoveAuthorsCells"] + [
    NBGRADER + name
    for name in (
        "LockCells", "ClearSolutions", "ClearOutput", "CheckCellMetadata", "ComputeChecksums", "SaveCells",
        "ClearHiddenTests", "ClearMarkScheme", "ComputeChecksums", "CheckCellMetadata",
    )
]  # fmt: skip
c.Autograde.create_student = False
c.Autograde.sanitize_preprocessors = [
    NBGRADER + name
    for name in (
        "ClearOutput",
        "DeduplicateIds",
        "OverwriteKernelspec",
        "OverwriteCells",
        "CheckCellMetadata",
    )
]
c.Autograde.autograde_preprocessors = [
    STEPS + "Judged",
    STEPS + "SaveJudged",
    NBGRADER + "AssignLatePenalties",
    NBGRADER + "CheckCellMetadata",
]
# Pages for students are written by `python -m papertrail.coursework feedback` alone: they hold no active content.
c.GenerateFeedback.preprocessors = [STEPS + "use_the_feedback_command"]
