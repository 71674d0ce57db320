"""Trees of segments as one sequence: positions, masks, labels and places, worked out by hand."""

import numpy as np

from cirdemo.train.packing import IGNORED, ROUND, Segment, pack, rope_positions

IMAGE, PAD, SIDE = 9, 0, 2


def test_a_picture_moves_positions_on_by_its_side():
    positions, end = rope_positions([5, 9, 9, 9, 9, 6], IMAGE, SIDE, 3)
    assert positions.tolist() == [
        [3, 4, 4, 4, 4, 6],  # time
        [3, 4, 4, 5, 5, 6],  # row
        [3, 4, 5, 4, 5, 6],  # column
    ]
    assert end == 7
    assert rope_positions([1, 2], IMAGE, SIDE, 0)[0].tolist() == [[0, 1]] * 3
    both, end = rope_positions([9] * 8, IMAGE, SIDE, 0)
    assert both[0].tolist() == [0] * 4 + [2] * 4 and end == 4


TREE = [
    Segment([1, 9, 9, 9, 9, 2], None, [7]),  # places 0 to 5
    Segment([3, 4], 0, answer_from=1),  # 6, 7
    Segment([5], 0),  # 8
    Segment([6, 8, 1], 2, answer_from=2),  # 9, 10, 11
]


def packed(trees):
    return pack(trees, image=IMAGE, side=SIDE, pad=PAD)


def test_positions_go_on_where_the_parent_ends():
    p = packed([TREE])
    assert p.ids[0].tolist() == [1, 9, 9, 9, 9, 2, 3, 4, 5, 6, 8, 1, *[PAD] * 4]
    assert p.positions[0, 0, :12].tolist() == [0, 1, 1, 1, 1, 3, 4, 5, 4, 5, 6, 7]
    assert p.positions[1, 0, :6].tolist() == [0, 1, 1, 2, 2, 3]
    assert p.positions[2, 0, :6].tolist() == [0, 1, 2, 1, 2, 3]


def test_a_segment_sees_itself_and_its_ancestors_only():
    seen = packed([TREE]).mask[0, 0] == 0  # (T, T)
    assert seen[3].nonzero()[:, 0].tolist() == [0, 1, 2, 3]  # causal
    assert seen[7].nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert seen[8].nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 8]  # not its sibling
    assert seen[10].nonzero()[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 8, 9, 10]
    for place in range(12, 16):  # padding sees itself, so that no row of the softmax is empty
        assert seen[place].nonzero()[:, 0].tolist() == [place]
    assert not seen[:12, 12:].any()


def test_labels_are_the_next_tokens_of_the_answers():
    labels = packed([TREE]).labels[0].tolist()
    assert {i: t for i, t in enumerate(labels) if t != IGNORED} == {6: 4, 10: 1}


def test_places_across_a_batch():
    small = [Segment([9, 9, 9, 9], None, [3]), Segment([9, 9, 9, 9, 1], 0, [4])]
    p = packed([TREE, small])
    assert p.ids.shape == (2, ROUND)
    assert p.slots.tolist() == [1, 2, 3, 4, *(16 + np.arange(8)).tolist()]
    assert p.pictures.tolist() == [7, 3, 4]
    assert p.ends == [[5, 7, 8, 11], [19, 24]]
    longer = packed([TREE, [Segment([1] * 17, None)]])
    assert longer.ids.shape == (2, 2 * ROUND)
    assert longer.ends == [[5, 7, 8, 11], [32 + 16]]
