"""Write the HTML template of `dvc plots`, with the plot library in it: python docs/plots_page.py TEMPLATE.

DVC's own page loads Vega from a CDN. This one leaves out DVC's {scripts} and carries the same libraries, of the same
major versions, from a PyPI package, so a page can be read with no network and is one file that can be sent to others.
"""

import sys
from importlib import metadata, resources
from pathlib import Path

PAGE = """<!DOCTYPE html>
<html>
<head>
    <meta charset="utf-8">
    {{refresh_tag}}
    <title>DVC Plot</title>
    <!-- Vega, Vega-Lite and Vega-Embed:
{licence}
    -->
    <script>
{library}
    </script>
    <style>table {{ border-spacing: 15px; }}</style>
</head>
<body>
    {{plot_divs}}
</body>
</html>
"""


def page() -> str:
    """Return the template; {refresh_tag} and {plot_divs} are for DVC to fill."""
    library = resources.files("js_lib_vega_embed") / "static/js_lib_vega_embed/vega-embed-full.js"
    licence = metadata.distribution("django-js-lib-vega-embed").read_text("licenses/LICENSE")
    return PAGE.format(licence=licence, library=library.read_text(encoding="utf-8"))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
