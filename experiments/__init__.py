"""Pipeline, benchmark, comparison, fidelity and judge reports, and the `persuade` command."""
