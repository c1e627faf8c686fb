"""`velatura paintings`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from velatura.cli.console import progress_bar, say

Licence = Literal["public-domain", "free"]


def paintings(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    number: Annotated[int, Parameter(name="--number")] = 500,
    licence: Annotated[Licence, Parameter(name="--licence")] = "public-domain",
    frescoes: Annotated[bool, Parameter(name="--frescoes")] = True,
    width: Annotated[int, Parameter(name="--width")] = 500,
    each: Annotated[int, Parameter(name="--each")] = 8,
    contact: Annotated[str | None, Parameter(name="--contact")] = None,
    source: Annotated[Path | None, Parameter(name="--from")] = None,
) -> None:
    """Fetch pictures of paintings to train from, with licence and attribution.

    Asks the Wikidata query service for paintings whose painter died 100 years ago or earlier and Wikimedia Commons for
    their pictures, one request at a time. A killed run goes on: give the same command again.

    Parameters
    ----------
    output
        Folder of the pictures; their list is its paintings.csv, what was not usable and why its left-out.csv.
    number
        Pictures in the end, those already in the folder included.
    licence
        public-domain, or free: any licence that Commons accepts.
    frescoes
        Frescoes beside paintings.
    width
        Of the pictures [pixels]; 330, 500, 960 and 1280 are kept ready by Commons.
    each
        At most so many pictures of one painter.
    contact
        Your e-mail address or web page, sent with each request: Wikimedia wants to know whom to write to.
    source
        A folder of your own pictures instead of Wikidata; a sub-folder is taken for one painter.
    """
    from velatura.chain.paintings import Wanted, bring_paintings, gather_paintings
    from velatura.io.downloads import Visitor, user_agent

    with progress_bar() as progress:
        if source is not None:
            found = bring_paintings(output, source, progress=progress)
        else:
            wanted = Wanted(number=number, licence=licence, frescoes=frescoes, width=width, each=each)
            found = gather_paintings(output, wanted, Visitor(user_agent(contact)), progress=progress)
    say(f"{found.pictures} pictures of {found.painters} painters: {found.table}")
    if found.left_out:
        say(f"{found.left_out} left out: {found.table.with_name('left-out.csv')}")
    if source is None and found.pictures < number:
        say(f"{number} were asked for: there were no more usable ones; --each, --licence free widen the search")
