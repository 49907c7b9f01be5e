"""Equations as drawings inside the page, in the colour of its text: no script, no network, and no font is needed.

Matplotlib sets them, so that what may be written is its subset of TeX.
"""

from __future__ import annotations

from html import escape
from typing import Any, Final

from docutils import nodes
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from sphinx.application import Sphinx

SIZE: Final = 10
FONT: Final = FontProperties(size=SIZE, math_fontfamily="stix")
COMMANDS: Final = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
# Of the letters of a page, which are larger than those of STIX at the same size.
SCALE: Final = 1.15


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer the renderer `drawn` to `html_math_renderer`."""
    app.add_html_math_renderer("drawn", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(draw(node.astext()))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="drawn-math">{draw(" ".join(node.astext().split()))}</div>\n')
    raise nodes.SkipNode


def draw(tex: str) -> str:
    """Return an equation as SVG, as high as the letters beside it, its baseline on theirs.

    Raises
    ------
    ValueError
        For TeX that Matplotlib does not know.
    """
    box = MathTextParser("path").parse(f"${tex}$", dpi=72, prop=FONT)
    width, height, depth = float(box.width), float(box.height), float(box.depth)
    outline = " ".join(
        COMMANDS[code] + ("" if code == Path.CLOSEPOLY else " ".join(f"{number:.2f}" for number in _down(points)))
        for points, code in TextPath((0, 0), f"${tex}$", prop=FONT).iter_segments(curves=True)
    )
    em = SCALE / SIZE
    return (
        f'<svg role="img" aria-label="{escape(tex)}" style="width:{width * em:.3f}em;height:{height * em:.3f}em;'
        f'vertical-align:{-depth * em:.3f}em" viewBox="0 {depth - height:.2f} {width:.2f} {height:.2f}">'
        f'<path fill="currentColor" d="{outline}"/></svg>'
    )


def _down(points: Any) -> Any:
    """Turn coordinates that grow upwards into those of SVG, which grow downwards."""
    return [-number if at % 2 else number for at, number in enumerate(points)]
