"""Mamba-1 as state-spaces and Hugging Face publish it: read both, write the latter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import safetensors.torch

from genomamba.alphabet import TOKENS, get_alphabet
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError
from genomamba.files import atomic_file, write_json
from genomamba.model.checkpoint.layout import Layout, Tensors, Values, padded, state_space_fields
from genomamba.model.checkpoint.tokenizer import write_tokenizer
from genomamba.model.checkpoint.vocabulary import ALPHABET_KEY
from genomamba.model.language_model import LanguageModel

__all__ = ["check_huggingface", "huggingface_layout", "save_huggingface", "state_spaces_layout"]

AlphabetOf = Callable[[int], str]

_TRAINING: Final = {"objective": "next_token"}
_EMBEDDINGS: Final = {
    "state-spaces": "backbone.embedding.weight",
    "huggingface": "backbone.embeddings.weight",
}


def state_spaces_layout(values: Values, alphabet_of: AlphabetOf) -> Layout:
    """Return the layout of a `state-spaces/mamba-*` checkpoint.

    Parameters
    ----------
    values : Values
        What `config.json` holds.
    alphabet_of : int -> str
        Gives the alphabet of a model with that many rows in its embedding.

    Raises
    ------
    RunError
        For Mamba-2, attention and MLP layers, and for a config that lacks a size.
    """
    for key, layers in (("attn_layer_idx", "attention"), ("d_intermediate", "MLP")):
        if value := values.raw(key):
            raise values.refuse(f"{key} is {value}: the model has {layers} layers, which are not read")
    rows = padded(values.whole("vocab_size"), values.whole("pad_vocab_size_multiple", 8))
    config = values.model(
        alphabet=alphabet_of(rows),
        vocab_rows=rows,
        d_model=values.whole("d_model"),
        num_layers=values.whole("n_layer"),
        norm="rms" if values.flag("rms_norm", True) else "layer",
        tie_head=values.flag("tie_embeddings", True),
        **state_space_fields(values.object("ssm_cfg")),
    )
    return _layout("state-spaces", config)


def huggingface_layout(values: Values, alphabet_of: AlphabetOf) -> Layout:
    """Return the layout of a `MambaForCausalLM` checkpoint of transformers; parameters as of `state_spaces_layout`.

    Raises
    ------
    RunError
        For an activation other than silu, a width that is no multiple of hidden_size, and a config that lacks a size.
    """
    if (activation := values.text("hidden_act", "silu")) not in ("silu", "swish"):
        raise values.refuse(f"hidden_act is {activation!r}; only silu is read")
    d_model, rows = values.whole("hidden_size"), values.whole("vocab_size")
    d_inner = values.whole("intermediate_size", int(values.number("expand", 2) * d_model))
    if d_inner % d_model:
        raise values.refuse(f"intermediate_size is {d_inner}; it must be a multiple of hidden_size, {d_model}")
    config = values.model(
        alphabet=alphabet_of(rows),
        vocab_rows=rows,
        d_model=d_model,
        num_layers=values.whole("num_hidden_layers"),
        d_state=values.whole("state_size", 16),
        d_conv=values.whole("conv_kernel", 4),
        expand=d_inner // d_model,
        dt_rank=values.rank("time_step_rank"),
        norm_eps=values.number("layer_norm_epsilon", 1e-5),
        proj_bias=values.flag("use_bias", False),
        conv_bias=values.flag("use_conv_bias", True),
        tie_head=values.flag("tie_word_embeddings", True),
    )
    return _layout("huggingface", config)


def save_huggingface(folder: Path, model: LanguageModel) -> None:
    """Write a causal model as `MambaForCausalLM` of transformers, with a tokenizer, into an existing folder.

    Parameters
    ----------
    folder : Path
        Where to write `config.json`, `model.safetensors` and, but for the alphabet `tokens`, the tokenizer's files.
    model : LanguageModel
        The network.

    Raises
    ------
    ConfigError
        As `check_huggingface` does.
    """
    config = model.config
    check_huggingface(config)
    parameters = dict(model.named_parameters())
    tensors: Tensors = {
        _published("huggingface", name): tensor.detach().contiguous() for name, tensor in parameters.items()
    }
    with atomic_file(folder / "model.safetensors") as temporary:
        safetensors.torch.save_file(tensors, str(temporary), metadata={"format": "pt"})
    if config.alphabet != TOKENS:
        write_tokenizer(folder, config.alphabet)
    write_json(folder / "config.json", _huggingface_values(model))


def check_huggingface(config: ModelConfig) -> None:
    """Raise `ConfigError` for a network that Hugging Face's Mamba cannot be: it gives the reason."""
    for differs, reason in (
        (config.direction != "causal", "reads left to right, and this model reads both ways"),
        (config.equivariant, "reads one strand, and this model combines both"),
        (config.norm != "rms", "has RMSNorm, and this model has LayerNorm"),
    ):
        if differs:
            raise ConfigError(f"--to huggingface: Hugging Face's Mamba {reason}; keep it with --to genomamba")


def _huggingface_values(model: LanguageModel) -> dict[str, Any]:
    config, alphabet = model.config, get_alphabet(model.config.alphabet)
    specials = {"bos_token_id": "[BOS]", "eos_token_id": "[SEP]", "pad_token_id": "[PAD]"}
    return {
        "architectures": ["MambaForCausalLM"],
        "model_type": "mamba",
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_inner,
        "num_hidden_layers": config.num_layers,
        "state_size": config.d_state,
        "conv_kernel": config.d_conv,
        "expand": config.expand,
        "time_step_rank": config.resolved_dt_rank,
        "layer_norm_epsilon": config.norm_eps,
        "use_bias": config.proj_bias,
        "use_conv_bias": config.conv_bias,
        "hidden_act": "silu",
        "tie_word_embeddings": config.tie_head,
        "torch_dtype": str(model.embedding.weight.dtype).removeprefix("torch."),
        **{key: alphabet.special_ids.get(special) for key, special in specials.items()},
        ALPHABET_KEY: config.alphabet,
    }


def _layout(kind: str, config: ModelConfig) -> Layout:
    return Layout(
        kind=kind,
        config=config,
        stored=config,
        published=lambda name: _published(kind, name),
        prefix="backbone.",
        training=_TRAINING,
    )


def _published(kind: str, name: str) -> str:
    special = {"head.weight": "lm_head.weight", "embedding.weight": _EMBEDDINGS[kind]}
    return special.get(name, f"backbone.{name}")
