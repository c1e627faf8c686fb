"""`velatura merge`."""

from pathlib import Path

from velatura.base.workspace import open_workspace, read_maps, write_maps
from velatura.cli.console import say_segments


def merge(workspace: Path, join: str, /) -> None:
    """Join clusters that the eye says are one, e.g. C2+C5 or C2+C5,C1+C7; ask for more clusters first, then merge.

    The merged maps stand until `segment` is asked for something else.

    Parameters
    ----------
    workspace
        The workspace.
    join
        Clusters to join, by name: C2+C5, or several joins with commas between them.
    """
    from velatura.tasks.merge import merge as merged

    opened = open_workspace(workspace)
    maps = merged(read_maps(opened, "segment"), join)
    write_maps(opened, "segment", maps, record={"merged": join})
    say_segments(maps)
