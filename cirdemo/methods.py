"""Methods and datasets by name; a class is imported when it is first asked for."""

from __future__ import annotations

from cirdemo.registry import Registry

METHODS = Registry(
    "method",
    {
        "text": "cirdemo.retrieve.zero_shot:TextOnly",
        "image": "cirdemo.retrieve.zero_shot:ImageOnly",
        "sum": "cirdemo.retrieve.zero_shot:Sum",
        "product": "cirdemo.retrieve.fusions:Product",
        "union": "cirdemo.retrieve.textual:DescriptionComposer",
        "enhanced": "cirdemo.retrieve.textual:DescriptionComposer",
        "intersection": "cirdemo.retrieve.textual:DescriptionComposer",
        "cot": "cirdemo.retrieve.learned:CotComposer",
        "cot_direct": "cirdemo.retrieve.learned:DirectComposer",
        "inversion": "cirdemo.retrieve.inversion:InversionComposer",
        "oti": "cirdemo.retrieve.inversion:OtiComposer",
        "qformer": "cirdemo.retrieve.tuned:QFormerComposer",
        "dpo_published": "cirdemo.retrieve.tuned:DpoPublished",
        "dpo": "cirdemo.retrieve.tuned:DpoComposer",
        "rrf": "cirdemo.retrieve.fusions:ReciprocalRank",
    },
)
MODES = ("union", "enhanced", "intersection")  # methods that write a description of the same name
FUSIONS = ("product", "rrf")  # methods that make one list of others
COT = ("cot", "cot_direct")  # methods of the adapter `cot`
DPO = ("dpo_published", "dpo")  # methods of a tuned text tower
DATASETS = Registry(
    "dataset",
    {
        "fables": "cirdemo.data.drawn.dataset:DrawnDataset",
        "wardrobe": "cirdemo.data.drawn.dataset:DrawnDataset",
    },
)
