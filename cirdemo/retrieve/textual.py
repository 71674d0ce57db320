"""Methods that write a description of the target and search with its text vector."""

from __future__ import annotations

from collections.abc import Sequence

from cirdemo.retrieve import unit
from cirdemo.types import Composed, Description, DescriptionWriter, Encoder, Mode, Query


class DescriptionComposer:
    """Writes a pseudo-target description under a mode and encodes it as a text.

    `union` describes the target with everything that the reference shows and the text does not
    deny. `intersection` keeps only what the modification is about, so that the background of the
    reference cannot pull the search its way; it is the first stage of SETR.

    Source: intersection: Xiao and Zhu, "SETR", 2025, arXiv 2509.26012, abstract and figure 1. The
        prompt is not published; the nearest published one is LM-CIR's (dxlabskku/LM-CIR, "one
        concise sentence, only the modified object and the changed attribute"). union: CIReVL
        (Karthik et al., ICLR 2024) and OSrCIR (Tang et al., 2024, arXiv 2412.11077), which retain
        as much of the reference as possible.
    Needs: a description writer (a vision-language model) and the gallery's encoder.
    Differs: union and intersection differ in the writer's prompt only; from `cot` in that the
        vector is the encoder's, of a text that can be read and edited.
    """

    def __init__(self, mode: Mode, writer: DescriptionWriter, encoder: Encoder) -> None:
        """A method named like its mode."""
        self.name: str = mode
        self.mode: Mode = mode
        self._writer = writer
        self.identity = writer.identity
        self._encoder = encoder

    def compose(self, query: Query) -> Composed:
        """Write, then encode."""
        return self.encode([self.write(query)])[0]

    def write(self, query: Query) -> Description:
        """The description of one query, with its cues."""
        return self._writer.write(query, self.mode)

    def given(self, query: Query, text: str) -> Description:
        """A description that the user wrote, with its cues where the writer finds some."""
        aligned = getattr(self._writer, "given", None)
        if aligned is None:
            return Description(text=text, mode=self.mode, writer="user")
        description: Description = aligned(query, text, self.mode)
        return description

    def compose_many(self, queries: Sequence[Query]) -> list[Composed]:
        """The same in one batch, where the writer can."""
        return self.encode(self.write_many(queries))

    def write_many(self, queries: Sequence[Query]) -> list[Description]:
        """The descriptions alone."""
        batched = getattr(self._writer, "write_many", None)
        if batched is not None:
            return list(batched(queries, self.mode))
        return [self._writer.write(query, self.mode) for query in queries]

    def encode(self, descriptions: Sequence[Description]) -> list[Composed]:
        """Descriptions that are there already, as vectors."""
        if not descriptions:
            return []
        vectors = self._encoder.encode_texts([d.text for d in descriptions])  # (Q, D)
        return [
            Composed(vector=unit(v), space=self._encoder.space, description=d)
            for v, d in zip(vectors, descriptions, strict=True)
        ]
