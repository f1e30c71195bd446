"""Taking info bars off, where they were found or as a fixed share of the height."""

from __future__ import annotations

from sorby.micrograph.image import Pixels
from sorby.micrograph.info_bar.finding import InfoBar

FIXED_SHARE = 0.09
"""What the published fracture system cuts off the bottom of every image."""


def crop_info_bar(pixels: Pixels, bar: InfoBar | None) -> Pixels:
    """Return the picture without its info bar, and without rows of picture that lie beyond the bar.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    bar : InfoBar or None
        As found; None leaves the image as it is.

    Returns
    -------
    ndarray, shape (h, W) or (h, W, 3)
        A view, not a copy.
    """
    if bar is None:
        return pixels
    return pixels[: bar.top] if bar.edge == "bottom" else pixels[bar.bottom :]


def crop_fixed(pixels: Pixels, share: float = FIXED_SHARE) -> Pixels:
    """Return the picture without a fixed share of its rows at the bottom, bar or no bar.

    The published rule. It leaves lettering on bars that are taller or lie at the top, and cuts picture where the bar is
    lower.

    Parameters
    ----------
    pixels : ndarray, shape (H, W) or (H, W, 3)
    share : float
        0 to 1, 1 excluded.
    """
    if not 0 <= share < 1:
        raise ValueError(f"the share must lie in [0, 1), not {share}")
    height = pixels.shape[0]
    return pixels[: max(1, height - round(share * height))]
