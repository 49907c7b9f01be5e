"""Caduceus: the published computation, written out position by position, against what the loaded network gives."""

import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from genomamba.alphabet import get_alphabet
from genomamba.errors import GenomambaError
from genomamba.model.checkpoint import load_model, open_checkpoint
from genomamba.model.strand import stack_strands

D_MODEL, D_STATE, ROWS = 6, 3, 16
COMPLEMENTS = torch.tensor([0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11, 12, 13, 14, 15])
IDS = torch.randint(7, 12, (2, 13), generator=torch.Generator().manual_seed(1))
VARIANTS = {
    "rms-add-tied": {},
    "layer-multiply-tied": {"rms_norm": False, "bidirectional_strategy": "ew_multiply"},
    "layer-add-untied": {"rms_norm": False, "bidirectional_weight_tie": False},
    "rms-add-tied-biases": {"ssm_cfg": {"d_state": D_STATE, "bias": True, "conv_bias": False}},
}


def published_config(**changes):
    return {
        "model_type": "caduceus", "d_model": D_MODEL, "n_layer": 3, "vocab_size": 12, "pad_vocab_size_multiple": 8,
        "ssm_cfg": {"d_state": D_STATE}, "rms_norm": True, "norm_epsilon": 1e-5, "residual_in_fp32": False,
        "fused_add_norm": True, "bidirectional": True, "bidirectional_strategy": "add",
        "bidirectional_weight_tie": True, "rcps": True,
        "complement_map": {str(token): other for token, other in enumerate(COMPLEMENTS[:12].tolist())},
    } | changes  # fmt: skip


def published_tensors(config):
    """Empty tensors in float64, under the names that a published file has; tied ones stand there once."""
    d_inner, rank, rcps = 2 * D_MODEL, 1, config["rcps"]
    ssm = {"bias": False, "conv_bias": True} | config["ssm_cfg"]
    shared = {"in_proj.weight": (2 * d_inner, D_MODEL), "out_proj.weight": (D_MODEL, d_inner)}
    if ssm["bias"]:
        shared |= {"in_proj.bias": (2 * d_inner,), "out_proj.bias": (D_MODEL,)}
    own = {
        "conv1d.weight": (d_inner, 1, 4), "x_proj.weight": (rank + 2 * D_STATE, d_inner),
        "dt_proj.weight": (d_inner, rank), "dt_proj.bias": (d_inner,), "A_log": (d_inner, D_STATE), "D": (d_inner,),
    }  # fmt: skip
    if ssm["conv_bias"]:
        own["conv1d.bias"] = (d_inner,)
    wrapped = "submodule." if rcps else ""
    shapes = {f"embeddings.word_embeddings.{'embedding.' if rcps else ''}weight": (ROWS, D_MODEL)}
    for i in range(config["n_layer"]):
        mixer = f"layers.{i}.mixer.{wrapped}"
        shapes |= {f"{mixer}mamba_fwd.{name}": shape for name, shape in (shared | own).items()}
        rev = own if config["bidirectional_weight_tie"] else shared | own
        shapes |= {f"{mixer}mamba_rev.{name}": shape for name, shape in rev.items()}
        shapes |= norm_shapes(config, f"layers.{i}.norm")
    shapes |= norm_shapes(config, "norm_f")
    return {f"caduceus.backbone.{name}": torch.empty(shape, dtype=torch.float64) for name, shape in shapes.items()}


def norm_shapes(config, name):
    name = f"{name}.submodule" if config["rcps"] and not config["fused_add_norm"] else name
    return {f"{name}.{part}": (D_MODEL,) for part in (["weight"] if config["rms_norm"] else ["weight", "bias"])}


class Published:
    """What the published modelling code computes, from a file's tensors, in float64.

    With rcps the stream has 2 * d_model channels: those of the sequence, and those of its reverse complement with
    length and channels reversed. With fused_add_norm each layer reads the halves the other way round, the stream
    that it adds to included, and writes them so.
    """

    def __init__(self, config, tensors):
        self.config = config
        self.tensors = {name.removeprefix("caduceus.backbone."): tensor for name, tensor in tensors.items()}

    def halves(self, stream):
        first, second = stream.chunk(2, dim=-1)
        return first, second.flip(1, 2)

    def both(self, function, stream):
        if not self.config["rcps"]:
            return function(stream)
        first, second = self.halves(stream)
        return torch.cat([function(first), function(second).flip(1, 2)], -1)

    def norm(self, name, x):
        name = f"{name}.submodule" if f"{name}.submodule.weight" in self.tensors else name
        weight, eps = self.tensors[f"{name}.weight"], self.config["norm_epsilon"]
        if self.config["rms_norm"]:
            return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * weight
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt((centred * centred).mean(-1, keepdim=True) + eps)
        return scaled * weight + self.tensors[f"{name}.bias"]

    def mamba(self, name, tied_to, x_blm):
        own = {key.removeprefix(name): t for key, t in self.tensors.items() if key.startswith(name)}
        w = {key.removeprefix(tied_to): t for key, t in self.tensors.items() if key.startswith(tied_to)} | own
        x_bld, z_bld = F.linear(x_blm, w["in_proj.weight"], w.get("in_proj.bias")).chunk(2, -1)
        length, h_bdn, rows = x_bld.shape[1], 0.0, []
        padded = F.pad(x_bld, (0, 0, 3, 0))
        for t in range(length):
            u_bd = (padded[:, t : t + 4] * w["conv1d.weight"][:, 0].T).sum(1) + w.get("conv1d.bias", 0)
            u_bd = u_bd * torch.sigmoid(u_bd)
            low, B_bn, C_bn = F.linear(u_bd, w["x_proj.weight"]).split([1, D_STATE, D_STATE], -1)
            delta_bd = torch.log1p(torch.exp(F.linear(low, w["dt_proj.weight"], w["dt_proj.bias"])))
            decay = torch.exp(delta_bd[..., None] * -torch.exp(w["A_log"]))
            h_bdn = decay * h_bdn + (delta_bd * u_bd)[..., None] * B_bn[:, None]
            rows.append((h_bdn * C_bn[:, None]).sum(-1) + w["D"] * u_bd)
        y_bld = torch.stack(rows, 1) * z_bld * torch.sigmoid(z_bld)
        return F.linear(y_bld, w["out_proj.weight"], w.get("out_proj.bias"))

    def mixer(self, i, x):
        name = f"layers.{i}.mixer.{'submodule.' if self.config['rcps'] else ''}"
        left = self.mamba(f"{name}mamba_fwd.", f"{name}mamba_fwd.", x)
        right = self.mamba(f"{name}mamba_rev.", f"{name}mamba_fwd.", x.flip(1)).flip(1)
        return left * right if self.config["bidirectional_strategy"] == "ew_multiply" else left + right

    def hidden(self, ids):
        rcps = self.config["rcps"]
        table = self.tensors[f"embeddings.word_embeddings.{'embedding.' if rcps else ''}weight"]
        stream = table[ids]
        if rcps:
            stream = torch.cat([stream, table[COMPLEMENTS[ids.flip(1)]].flip(1, 2)], -1)
        for i in range(self.config["n_layer"]):
            if rcps and self.config["fused_add_norm"]:
                # The second half, which stands in the frame of the sequence, is taken for the first, and the first,
                # with length and channels reversed, for the second.
                stream = torch.cat(stream.chunk(2, -1)[::-1], -1)
            normed = self.both(lambda x, i=i: self.norm(f"layers.{i}.norm", x), stream)
            stream = stream + self.both(lambda x, i=i: self.mixer(i, x), normed)
        return self.both(lambda x: self.norm("norm_f", x), stream)

    def logits(self, ids):
        rcps, hidden = self.config["rcps"], self.hidden(ids)
        table = self.tensors[f"embeddings.word_embeddings.{'embedding.' if rcps else ''}weight"]
        if not rcps:
            return hidden @ table.T
        first, second = hidden.chunk(2, -1)
        return first @ table.T + second.flip(-1) @ table[COMPLEMENTS].T


def ours(model, ids):
    with torch.no_grad():
        return model(ids)


@pytest.fixture
def make(draw, write, tmp_path):
    """A function that writes a checkpoint of drawn weights, and returns its folder and the published computation."""

    def make(folder=tmp_path, **changes):
        config = published_config(**changes)
        tensors = draw(published_tensors(config))
        return write(folder, config, tensors), Published(config, tensors)

    return make


CASES = list(itertools.product(VARIANTS, ["ps", "ph"], ["fused", "plain"], [3, 4]))
PATHS = list(itertools.product(["fused", "plain"], [3, 4]))


@pytest.mark.parametrize(("variant", "strands", "path", "layers"), CASES, ids=str)
def test_logits_are_those_of_the_published_path(make, variant, strands, path, layers):
    changes = VARIANTS[variant] | {"rcps": strands == "ps", "fused_add_norm": path == "fused", "n_layer": layers}
    folder, published = make(**changes)
    torch.testing.assert_close(ours(load_model(folder), IDS), published.logits(IDS), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("path", "layers"), PATHS, ids=str)
def test_hidden_states_are_those_of_the_published_path(make, path, layers):
    folder, published = make(fused_add_norm=path == "fused", n_layer=layers)
    model = load_model(folder)
    with torch.no_grad():
        a, b = model.hidden(stack_strands(IDS, COMPLEMENTS)).chunk(2)
    turned = path == "fused" and layers % 2
    expected = [b.flip(1, 2), a] if turned else [a, b.flip(1, 2)]
    torch.testing.assert_close(torch.cat(expected, -1), published.hidden(IDS), rtol=0, atol=1e-10)


@pytest.mark.parametrize("layers", [3, 4])
def test_the_fused_path_is_another_function(make, tmp_path, layers):
    folder, fused = make(n_layer=layers)
    plain = Published(fused.config | {"fused_add_norm": False}, fused.tensors)
    assert (fused.logits(IDS) - plain.logits(IDS)).abs().max() > 0.1
    assert load_model(folder).config.tie_head == (layers % 2 == 0)


def test_one_per_cent_of_any_tensor_moves_the_logits(make, distance):
    _, published = make(ssm_cfg={"d_state": D_STATE, "bias": True}, rms_norm=False, n_layer=2)
    before = published.logits(IDS)
    for name, tensor in published.tensors.items():
        tensor *= 1.01
        # Ten thousand times what the loaded network may differ by.
        assert distance(published.logits(IDS), before) > 1e-6, name
        tensor /= 1.01


@pytest.mark.parametrize(("path", "layers"), PATHS, ids=str)
def test_a_loaded_ps_network_commutes_with_reverse_complement(make, path, layers):
    model = load_model(make(fused_add_norm=path == "fused", n_layer=layers)[0])
    turned = ours(model, COMPLEMENTS[IDS.flip(1)])
    torch.testing.assert_close(turned, ours(model, IDS).flip(1)[..., COMPLEMENTS], rtol=0, atol=1e-10)


def everything_twice(tensors):
    for name in list(tensors):
        if "mamba_fwd" in name and "_proj" in name and "x_proj" not in name and "dt_proj" not in name:
            tensors[name.replace("mamba_fwd", "mamba_rev")] = tensors[name].clone()
    tensors["lm_head.lm_head.weight"] = tensors["caduceus.backbone.embeddings.word_embeddings.embedding.weight"].clone()
    tensors["lm_head.complement_map"] = COMPLEMENTS


def under_the_other_name(tensors):
    everything_twice(tensors)
    for name in list(tensors):
        if "mamba_fwd" in name and ("in_proj" in name or "out_proj" in name):
            del tensors[name]
    del tensors["caduceus.backbone.embeddings.word_embeddings.embedding.weight"]


def without_its_head(tensors):
    for name in list(tensors):
        tensors[name.removeprefix("caduceus.")] = tensors.pop(name)


@pytest.mark.parametrize("change", [everything_twice, under_the_other_name, without_its_head])
def test_tied_tensors_may_stand_under_any_of_their_names(make, draw, write, tmp_path, change):
    folder, published = make()
    tensors = draw(published_tensors(published.config))
    change(tensors)
    write(folder, published.config, tensors)
    torch.testing.assert_close(ours(load_model(folder), IDS), published.logits(IDS), rtol=0, atol=1e-10)


def test_a_head_of_its_own_is_read(make, draw, write):
    folder, published = make(rcps=False, tie_word_embeddings=False)
    tensors = draw(published_tensors(published.config))
    tensors["lm_head.weight"] = torch.randn(ROWS, D_MODEL, dtype=torch.float64)
    write(folder, published.config, tensors)
    torch.testing.assert_close(
        ours(load_model(folder), IDS), published.hidden(IDS) @ tensors["lm_head.weight"].T, rtol=0, atol=1e-10
    )


def test_one_direction_is_read(make, draw, write):
    folder, published = make(rcps=False, bidirectional_weight_tie=False)
    config = published.config | {"bidirectional": False}
    tensors = {name: t for name, t in draw(published_tensors(published.config)).items() if "mamba_rev" not in name}
    published.mixer = lambda i, x: published.mamba(f"layers.{i}.mixer.mamba_fwd.", "none", x)
    model = load_model(write(folder, config, tensors))
    assert model.config.direction == "causal"
    torch.testing.assert_close(ours(model, IDS), published.logits(IDS), rtol=0, atol=1e-10)


REFUSALS = {
    "one direction, fused": ({"bidirectional": False}, "in turns from the left and from the right"),
    "strategy": ({"bidirectional_strategy": "concat"}, "bidirectional_strategy is 'concat'; it must be one of add"),
    "complements": ({"complement_map": {"a": 0}}, "complement_map does not map ids below 16 to ids"),
    "complements of others": (
        {"complement_map": {str(i): i for i in range(12)}},
        r"no tokenizer file says what its 16 token ids stand for",
    ),
    "no map": ({"complement_map": None}, r"no tokenizer file says what its 16 token ids stand for"),
    "depth": ({"n_layer": None}, "has no n_layer"),
}


@pytest.mark.parametrize(("change", "message"), REFUSALS.values(), ids=REFUSALS)
def test_configs_that_do_not_fit_are_one_line(make, change, message):
    folder, published = make()
    (folder / "config.json").write_text(json.dumps(published.config | change))
    with pytest.raises(GenomambaError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def test_an_alphabet_whose_complements_differ_is_refused(make):
    folder, _ = make()
    with pytest.raises(GenomambaError, match=r"complement_map sends 3 to 3, but .* sends it to 6"):
        load_model(folder, alphabet="[PAD],[MASK],[UNK],a,c,g,t")


def test_complements_among_the_tensors_are_checked(make, draw, write):
    folder, published = make()
    tensors = draw(published_tensors(published.config)) | {"lm_head.complement_map": torch.arange(16)}
    with pytest.raises(GenomambaError, match=r"lm_head.complement_map is .0, 1, 2.* by --alphabet"):
        load_model(write(folder, published.config, tensors))


def test_what_is_missing_unexpected_and_misshaped_is_named_as_the_file_has_it(make, draw, write):
    folder, published = make()
    tensors = draw(published_tensors(published.config))
    for name in list(tensors):
        if "layers.1." in name:
            del tensors[name]
    tensors["score.weight"] = torch.zeros(2, D_MODEL)
    tensors["caduceus.backbone.norm_f.weight"] = torch.zeros(7)
    with pytest.raises(GenomambaError) as caught:
        load_model(write(folder, published.config, tensors))
    assert str(caught.value) == (
        f"{folder / 'model.safetensors'}: weights do not fit the config: missing "
        "caduceus.backbone.layers.1.norm.weight, "
        "caduceus.backbone.layers.1.mixer.submodule.mamba_fwd.A_log, "
        "caduceus.backbone.layers.1.mixer.submodule.mamba_fwd.D, "
        "caduceus.backbone.layers.1.mixer.submodule.mamba_fwd.in_proj.weight, "
        "caduceus.backbone.layers.1.mixer.submodule.mamba_fwd.conv1d.weight, "
        "caduceus.backbone.layers.1.mixer.submodule.mamba_fwd.conv1d.bias and 11 more; unexpected score.weight; "
        "misshaped caduceus.backbone.norm_f.weight (7,) for (6,)"
    )


PLANT = {
    "vocab_size": 7,
    "complement_map": {"0": 0, "1": 1, "2": 2, "3": 6, "4": 5, "5": 4, "6": 3},
}


def write_plant_tokenizer(folder):
    vocabulary = {"[PAD]": 0, "[MASK]": 1, "[UNK]": 2, "a": 3, "c": 4, "g": 5, "t": 6}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": vocabulary, "merges": []}}))


@pytest.fixture
def plant(make, draw, write):
    """A network with the vocabulary of PlantCaduceus, 7 ids padded to 8, without a tokenizer."""
    folder, published = make(**PLANT)
    tensors = draw(published_tensors(published.config))
    name = "caduceus.backbone.embeddings.word_embeddings.embedding.weight"
    return write(folder, published.config, tensors | {name: tensors[name][:8]})


def test_a_vocabulary_of_its_own_is_read_from_the_tokenizer(plant):
    write_plant_tokenizer(plant)
    model = load_model(plant)
    alphabet = get_alphabet(model.config.alphabet)
    assert alphabet.encode("ACGTNacgt").tolist() == [3, 4, 5, 6, 2, 3, 4, 5, 6]
    assert model.complement.tolist() == [0, 1, 2, 6, 5, 4, 3, 7]
    ids = torch.from_numpy(alphabet.encode("ACGGTTTACN"))[None]
    turned = ours(model, torch.from_numpy(alphabet.encode("NGTAAACCGT"))[None])
    torch.testing.assert_close(turned, ours(model, ids).flip(1)[..., model.complement], rtol=0, atol=1e-10)


def test_a_vocabulary_of_its_own_is_asked_for_and_never_guessed(plant):
    with pytest.raises(GenomambaError, match=r"its 8 token ids stand for; name them by --alphabet") as caught:
        load_model(plant)
    assert "\n" not in str(caught.value)
    with pytest.raises(GenomambaError, match="has 8 token ids, and the dna alphabet needs 12"):
        load_model(plant, alphabet="dna")
    assert load_model(plant, alphabet="[PAD],[MASK],[UNK],a,c,g,t").config.vocab_size == 8


@pytest.fixture(scope="module")
def golden():
    """Folder of two checkpoints with what the published code computed from them, named by GENOMAMBA_DATA."""
    named = os.environ.get("GENOMAMBA_DATA")
    folder = Path(named or "") / "caduceus_golden"
    if not named or not folder.is_dir():
        pytest.skip("GENOMAMBA_DATA names no folder with caduceus_golden in it")
    return folder


@pytest.mark.parametrize("name", ["ph_plain_l3", "ps_fused_l4"])
def test_numbers_of_the_published_code(golden, distance, name):
    expected = {key: torch.from_numpy(value) for key, value in np.load(golden / name / "expected.npz").items()}
    ids, model = expected["ids"], load_model(golden / name)
    assert open_checkpoint(golden / name).training == {"objective": "masked"}
    found = ours(model, ids)
    assert distance(found, expected["logits"]) < 1e-5
    assert (found - expected["logits"]).abs().max() < 2e-5
    with torch.no_grad():
        if name == "ps_fused_l4":
            a, b = model.hidden(stack_strands(ids, COMPLEMENTS)).chunk(2)
            hidden = torch.cat([a, b.flip(1, 2)], -1)
        else:
            # The plain path gives out what its last layer reads before the stream is added.
            x_blm = model.layers[0](model.embedding(ids))
            hidden = model.layers[1].mixer(model.layers[1].norm(x_blm))
    assert distance(hidden, expected["hidden"]) < 1e-5
