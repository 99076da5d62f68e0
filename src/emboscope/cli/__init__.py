"""The command line: parse, call one workflow, print."""


def main() -> None:
    """Run the command that the arguments name."""
    from emboscope.cli.app import app

    app()
