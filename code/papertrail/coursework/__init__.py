"""Chapters as coursework: assign, collect, grade strangers' code in a sandbox, and return it.

One notebook under coursework/source/ is all that an author writes. Probes in it send values out of the
student's process; they are compared here, in the grader's own, with the values of the reference solution.
`python -m papertrail.coursework --help` lists the commands.
"""
