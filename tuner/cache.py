"""A key-value cache for rows that come and go: written in place, cut to the rows that live, joined with new ones."""

import torch
from transformers import Cache
from transformers.cache_utils import DynamicLayer

BLOCK = 64  # tokens by which a layer's room grows


class RoomyLayer(DynamicLayer):
    """A layer with room to grow into; the library's own copies all of itself at every token.

    Rows (batch) are padded on the left, so that all end at the same place.
    """

    room: tuple = ()

    def update(self, key_states, value_states, *args, **kwargs):
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        length = self.get_seq_length()
        self._grow(key_states, value_states, length, length + key_states.shape[-2])
        for place, states in zip(self.room, (key_states, value_states), strict=True):
            place[:, :, length : length + states.shape[-2]] = states
        self._show(length + key_states.shape[-2])
        return self.keys, self.values

    def spread(self, places: torch.Tensor) -> None:
        """Make of the only row as many as `places` (rows, tokens) has: where in it the tokens of each are."""
        length, spread = places.shape[1], []
        for states in (self.keys, self.values):
            place = states.new_empty(len(places), states.shape[1], _rounded(length + 1), states.shape[3])
            place[:, :, :length] = states[0][:, places].transpose(0, 1)
            spread.append(place)
        self.room = tuple(spread)
        self._show(length)

    def select(self, rows: list[int], cut: int) -> None:
        """Keep `rows` alone, without the first `cut` tokens, which are padding in each of them."""
        self.room = tuple(states[rows, :, cut:] for states in (self.keys, self.values))
        self.keys, self.values = self.room

    def join(self, other: "RoomyLayer") -> None:
        """Append the rows of `other`; the shorter of both is padded on the left."""
        length = max(self.get_seq_length(), other.get_seq_length())
        joined = []
        for mine, theirs in ((self.keys, other.keys), (self.values, other.values)):
            place = mine.new_zeros(len(mine) + len(theirs), mine.shape[1], _rounded(length + 1), mine.shape[3])
            place[: len(mine), :, length - mine.shape[-2] : length] = mine
            place[len(mine) :, :, length - theirs.shape[-2] : length] = theirs
            joined.append(place)
        self.room = tuple(joined)
        self._show(length)

    def _grow(self, key_states, value_states, length: int, needed: int) -> None:
        if self.room and needed <= self.room[0].shape[-2]:
            return
        grown = []
        for states, old in zip((key_states, value_states), (self.keys, self.values), strict=True):
            place = states.new_empty(*states.shape[:-2], _rounded(needed), states.shape[-1])
            if length:
                place[:, :, :length] = old
            grown.append(place)
        self.room = tuple(grown)

    def _show(self, length: int) -> None:
        self.keys, self.values = (place[:, :, :length] for place in self.room)


class RoomyCache(Cache):
    """Such a layer for every layer of a model, whatever its attention: windows are masked by the model itself."""

    def __init__(self):
        super().__init__(layer_class_to_replicate=RoomyLayer)

    def spread(self, places: torch.Tensor) -> None:
        for layer in self.layers:
            layer.spread(places)

    def select(self, rows: list[int], cut: int) -> None:
        for layer in self.layers:
            layer.select(rows, cut)

    def join(self, other: "RoomyCache") -> None:
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            mine.join(theirs)


def joined_masks(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the attention masks (rows, tokens) of two batches as one, padded on the left as `join` does."""
    length = max(one.shape[1], other.shape[1])
    return torch.cat([torch.nn.functional.pad(mask, (length - mask.shape[1], 0)) for mask in (one, other)])


def _rounded(length: int) -> int:
    return -(-length // BLOCK) * BLOCK
