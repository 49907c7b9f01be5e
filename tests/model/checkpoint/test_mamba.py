"""Mamba-1 of others: the logits are those of transformers, and every tensor has its part in them."""

import json

import pytest
import torch

from genomamba.alphabet import get_alphabet
from genomamba.config import ModelConfig
from genomamba.errors import ConfigError, GenomambaError
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import load_model, open_checkpoint, save_huggingface

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

SHAPE = {"hidden_size": 24, "num_hidden_layers": 3, "vocab_size": 16, "state_size": 8}
VARIANTS = {
    "plain": {},
    "biases": {"use_bias": True},
    "no-conv-bias": {"use_conv_bias": False},
    "untied": {"tie_word_embeddings": False},
    "other-sizes": {"expand": 3, "conv_kernel": 3, "time_step_rank": 5, "layer_norm_epsilon": 1e-3},
}
TOKENS = torch.randint(0, 16, (2, 37), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def make_theirs(draw):
    """A function that makes transformers' own model, of weights drawn so that each of them shows."""

    def make(**variant):
        model = transformers.MambaForCausalLM(transformers.MambaConfig(**SHAPE, **variant)).eval()
        draw(dict(model.named_parameters()))
        return model

    return make


def logits(model):
    with torch.no_grad():
        found = model(TOKENS)
    return found.logits if hasattr(found, "logits") else found


def as_state_spaces(theirs):
    """Config and tensors as state-spaces publish the same network; the vocabulary is padded from 13 to 16."""
    config = theirs.config
    tensors = {
        name.replace("backbone.embeddings.", "backbone.embedding."): tensor
        for name, tensor in theirs.state_dict().items()
    }
    values = {
        "d_model": config.hidden_size, "n_layer": config.num_hidden_layers, "vocab_size": 13,
        "pad_vocab_size_multiple": 8, "rms_norm": True, "residual_in_fp32": True, "fused_add_norm": True,
        "ssm_cfg": {"d_state": config.state_size},
    }  # fmt: skip
    return values, tensors


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_logits_are_those_of_transformers(make_theirs, distance, tmp_path, variant):
    theirs = make_theirs(**variant)
    theirs.save_pretrained(tmp_path)
    assert distance(logits(load_model(tmp_path, alphabet="dna")), logits(theirs)) < 1e-5


@pytest.mark.parametrize("variant", [VARIANTS["biases"], VARIANTS["untied"]], ids=["biases", "untied"])
def test_one_per_cent_of_any_tensor_moves_the_logits(make_theirs, distance, variant):
    theirs = make_theirs(**variant)
    before = logits(theirs)
    for name, parameter in theirs.named_parameters():
        with torch.no_grad():
            parameter.mul_(1.01)
            assert distance(logits(theirs), before) > 1e-4, name
            parameter.div_(1.01)


def test_shards_are_read_as_one(make_theirs, distance, tmp_path):
    theirs = make_theirs()
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*-of-*.safetensors"))) > 1
    assert distance(logits(load_model(tmp_path, alphabet="dna")), logits(theirs)) < 1e-5


def test_a_network_saved_without_its_head_is_read(make_theirs, distance, tmp_path):
    theirs = make_theirs()
    theirs.backbone.save_pretrained(tmp_path)
    assert distance(logits(load_model(tmp_path, alphabet="dna")), logits(theirs)) < 1e-5


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("head", ["both", "embedding", "head"])
def test_state_spaces_weights_give_the_same_logits(make_theirs, distance, write, tmp_path, file, head):
    theirs = make_theirs()
    config, tensors = as_state_spaces(theirs)
    if head != "both":
        del tensors["lm_head.weight" if head == "embedding" else "backbone.embedding.weight"]
    found = load_model(write(tmp_path, config, tensors, file), alphabet="dna")
    assert found.config.vocab_size == 16
    assert distance(logits(found), logits(theirs)) < 1e-5


def test_a_state_spaces_head_of_its_own_gives_the_same_logits(make_theirs, distance, write, tmp_path):
    theirs = make_theirs(tie_word_embeddings=False)
    config, tensors = as_state_spaces(theirs)
    found = load_model(write(tmp_path, config | {"tie_embeddings": False}, tensors), alphabet="dna")
    assert distance(logits(found), logits(theirs)) < 1e-5


def test_a_state_spaces_network_may_have_layer_norm(make_theirs, draw, distance, write, tmp_path):
    theirs = make_theirs()
    for layer in theirs.backbone.layers:
        layer.norm = torch.nn.LayerNorm(24, eps=1e-5)
    theirs.backbone.norm_f = torch.nn.LayerNorm(24, eps=1e-5)
    draw(dict(theirs.named_parameters()))
    config, tensors = as_state_spaces(theirs)
    found = load_model(write(tmp_path, config | {"rms_norm": False}, tensors), alphabet="dna")
    assert distance(logits(found), logits(theirs)) < 1e-5


def test_half_precision_is_read_as_float32(make_theirs, distance, write, tmp_path):
    theirs = make_theirs()
    config, tensors = as_state_spaces(theirs.bfloat16())
    found = load_model(write(tmp_path, config, tensors), alphabet="dna")
    assert {parameter.dtype for parameter in found.parameters()} == {torch.float32}
    assert distance(logits(found), logits(theirs.float())) < 1e-5


def test_a_vocabulary_of_words_is_read_for_ids_alone(make_theirs, tmp_path):
    theirs = make_theirs()
    theirs.save_pretrained(tmp_path)
    found = load_model(tmp_path, alphabet="tokens")
    assert logits(found).shape == (2, 37, 16)
    with pytest.raises(ConfigError, match="takes token ids, not sequences"):
        get_alphabet(found.config.alphabet).encode("ACGT")


OURS = {
    "dna": {},
    "bytes": {"alphabet": "bytes"},
    "own-ids": {"alphabet": "[PAD],[MASK],[UNK],a,c,g,t", "vocab_rows": 8},
    "untied": {"tie_head": False, "proj_bias": True, "conv_bias": False, "dt_rank": 3},
}


@pytest.fixture
def make_ours(draw):
    def make(**shape):
        model = LanguageModel(ModelConfig(d_model=16, num_layers=2, d_state=4, **shape)).eval()
        draw(dict(model.named_parameters()))
        return model

    return make


@pytest.mark.parametrize("shape", OURS.values(), ids=OURS)
def test_what_is_written_for_transformers_gives_the_same_logits_there(make_ours, distance, tmp_path, shape):
    ours = make_ours(**shape)
    save_huggingface(tmp_path, ours)
    theirs, report = transformers.MambaForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    tokens = TOKENS % ours.config.vocab_size
    with torch.no_grad():
        assert distance(ours(tokens), theirs.eval()(tokens).logits) < 1e-5


@pytest.mark.parametrize("shape", OURS.values(), ids=OURS)
def test_what_is_written_for_transformers_comes_back_bit_for_bit(make_ours, tmp_path, shape):
    ours = make_ours(**shape)
    save_huggingface(tmp_path, ours)
    back = load_model(tmp_path)
    assert back.config.resolved_dt_rank == ours.config.resolved_dt_rank
    assert back.config.alphabet == ours.config.alphabet
    for name, tensor in ours.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name


@pytest.mark.parametrize("alphabet", ["dna", "bytes", "[PAD],[MASK],[UNK],a,c,g,t", "[UNK],A,C,G,T,N,[MASK],[BOS]"])
def test_the_tokenizer_written_for_transformers_is_the_alphabet(make_ours, tmp_path, alphabet):
    save_huggingface(tmp_path, make_ours(alphabet=alphabet))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = get_alphabet(alphabet)
    for text in ("ACGTN", "acgtnRykU", "ACGT" * 50):
        first = [ours.bos] if "[BOS]" in ours.special_ids else []
        assert tokenizer(text)["input_ids"] == first + ours.encode(text).tolist()
    if "[MASK]" in ours.special_ids:
        assert tokenizer.mask_token_id == ours.mask
    if alphabet == "bytes":
        assert tokenizer("naïve\n\0")["input_ids"][1:] == ours.encode("naïve\n\0").tolist()
    else:
        # The letters stand in the files, too, and not only in our own note.
        path = tmp_path / "config.json"
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if "genomamba" not in k}))
        assert open_checkpoint(tmp_path).config.alphabet == alphabet


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ({"direction": "bidirectional"}, "reads both ways"),
        ({"equivariant": True}, "combines both"),
        ({"norm": "layer"}, "LayerNorm"),
    ],
    ids=["bidirectional", "equivariant", "layer-norm"],
)
def test_what_transformers_cannot_be_told_is_refused(make_ours, tmp_path, shape, reason):
    with pytest.raises(ConfigError, match=reason):
        save_huggingface(tmp_path, make_ours(**shape))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "relu"}, "hidden_act is 'relu'; only silu"),
        ({"intermediate_size": 25}, "multiple of hidden_size, 24"),
        ({"hidden_size": None}, "has no hidden_size"),
        ({"state_size": "8"}, "state_size is '8'; it must be a whole number"),
        ({"state_size": True}, "state_size is True; it must be a whole number"),
        ({"hidden_size": 0}, "hidden_size is 0; it must be a whole number above 0"),
        ({"layer_norm_epsilon": float("nan")}, "layer_norm_epsilon is nan; it must be a number above 0"),
        ({"state_size": 999}, "d_state is 999; it must lie between 1 and 256"),
        ({"model_type": "mamba2"}, "model_type 'mamba2'; what is read is"),
        ({"model_type": None}, "no kind that is known here"),
    ],
    ids=str,
)
def test_configs_of_transformers_that_do_not_fit_are_one_line(make_theirs, tmp_path, change, message):
    make_theirs().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(GenomambaError, match=message) as caught:
        load_model(tmp_path, alphabet="dna")
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ssm_cfg": {"layer": "Mamba2"}}, "ssm_cfg: layer is 'Mamba2'; only Mamba1"),
        ({"ssm_cfg": {"ngroups": 2}}, "ssm_cfg: ngroups is no setting"),
        ({"ssm_cfg": [1]}, "ssm_cfg is .1.; it must be an object"),
        ({"attn_layer_idx": [1]}, "attention layers"),
        ({"d_intermediate": 8}, "MLP layers"),
        ({"pad_vocab_size_multiple": 0}, "pad_vocab_size_multiple is 0; it must be a whole number above 0"),
        ({"rms_norm": "yes"}, "rms_norm is 'yes'; it must be true or false"),
    ],
    ids=str,
)
def test_configs_of_state_spaces_that_do_not_fit_are_one_line(make_theirs, write, tmp_path, change, message):
    config, tensors = as_state_spaces(make_theirs())
    with pytest.raises(GenomambaError, match=message) as caught:
        load_model(write(tmp_path, config | change, tensors), alphabet="dna")
    assert "\n" not in str(caught.value)


def test_a_head_that_differs_from_the_embedding_it_is_tied_to_is_refused(make_theirs, write, tmp_path):
    config, tensors = as_state_spaces(make_theirs())
    tensors["lm_head.weight"] = tensors["lm_head.weight"] + 1
    with pytest.raises(GenomambaError, match=r"backbone.embedding.weight and lm_head.weight differ"):
        load_model(write(tmp_path, config, tensors), alphabet="dna")
