"""A network with its name and what is known of it, from and to folders and the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from huggingface_hub import ModelCard, PyTorchModelHubMixin
from torch import Tensor, nn

from genomamba.alphabet import Alphabet, get_alphabet
from genomamba.config import ModelConfig
from genomamba.errors import RunError
from genomamba.model import LanguageModel
from genomamba.model.checkpoint import open_checkpoint, save_model
from genomamba.model.device import choose_device
from genomamba.report.model_card import render_card
from genomamba.report.model_facts import provenance_of

__all__ = ["HubModel"]


class HubModel(nn.Module, PyTorchModelHubMixin, library_name="genomamba"):
    """A language model that loads, saves and publishes itself; `genomamba.Model` adds what it says of sequences.

    Parameters
    ----------
    network : LanguageModel
        The network with its weights.
    name : str
        What messages and the model card call it.
    provenance : mapping, optional
        How it was made (objective, context in bases, strand, run, ...), plain values; kept by `save_pretrained`.

    Attributes
    ----------
    network : LanguageModel
    name : str
    provenance : dict
    """

    def __init__(
        self, network: LanguageModel, *, name: str = "model", provenance: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.provenance = dict(provenance or {})

    @property
    def config(self) -> ModelConfig:
        """Shape of the network."""
        return self.network.config

    @property
    def alphabet(self) -> Alphabet:
        """What the token ids stand for; `alphabet.mask` and `alphabet.bos` are ids of specials."""
        return get_alphabet(self.config.alphabet)

    def forward(self, tokens: Tensor, *, lengths: Tensor | None = None, cu_seqlens: Tensor | None = None) -> Tensor:
        """Return logits (batch, length, vocab_size) with their gradient; see `LanguageModel.forward`."""
        logits: Tensor = self.network(tokens, lengths=lengths, cu_seqlens=cu_seqlens)
        return logits

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, model: str | Path, *, revision: str | None = None, alphabet: str | None = None, device: str = "auto"
    ) -> Self:
        """Load a model; see `genomamba.from_pretrained`."""
        chosen = choose_device(device)
        checkpoint = open_checkpoint(model, revision=revision, alphabet=alphabet)
        return cls(checkpoint.load(chosen), name=str(model), provenance=provenance_of(checkpoint)).eval()

    def push_to_hub(self, repo_id: str, *, model_card_kwargs: dict[str, Any] | None = None, **options: Any) -> str:
        """Write the model and its card into a repository of the Hugging Face hub.

        Parameters
        ----------
        repo_id : str
            OWNER/NAME; made where it is not there.
        model_card_kwargs : dict, optional
            For `generate_model_card`, such as `{"license": "cc-by-4.0"}`.
        **options
            As of `huggingface_hub.PyTorchModelHubMixin.push_to_hub`: private, token, branch, commit_message, ...

        Returns
        -------
        str
            Address of the commit.
        """
        told = {"name": repo_id} | (model_card_kwargs or {})
        return super().push_to_hub(repo_id, model_card_kwargs=told, **options)

    def generate_model_card(self, *, name: str | None = None, license: str | None = None) -> ModelCard:
        """Return the model card: what the model is, its data, figures and limits, as far as they are known.

        `save_pretrained` and `push_to_hub` write it as README.md, and leave one that is there.

        Parameters
        ----------
        name : str, optional
            What the card calls the model. Default: the last part of the name it was loaded by.
        license : str, optional
            Of the weights, as the hub spells it; whoever publishes them knows.

        Raises
        ------
        RunError
            Where the provenance is damaged.
        """
        title = name or Path(self.name).resolve().name
        return ModelCard(render_card(self.config, self.provenance, name=title, license=license))

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> str | None:
        """Write the model and its card into a folder, which is made where it is not there.

        Parameters
        ----------
        save_directory : str or Path
            Where to write.
        **options
            As of `huggingface_hub.PyTorchModelHubMixin.save_pretrained`: push_to_hub, repo_id, model_card_kwargs, ...

        Returns
        -------
        str or None
            Address of the commit, where it was pushed.

        Raises
        ------
        RunError
            Where the folder cannot be written.
        """
        try:
            Path(save_directory).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{save_directory}: cannot be made ({error.strerror}); name another folder") from error
        address: str | None = super().save_pretrained(save_directory, **options)
        return address

    def _save_pretrained(self, save_directory: Path) -> None:
        save_model(save_directory, self.network, self.provenance)
