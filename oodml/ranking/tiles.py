"""Tiles of similarities, and who watches them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Watch = Callable[[Tensor, slice, slice, bool], None]
"""Sees every tile of similarities before positives are hidden: the tile, its places of rows and of columns, and whether
it stands for its mirror image as well. Leaves it as it is."""
