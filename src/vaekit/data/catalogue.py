"""The data sets that have a name: where their files live and how they are known. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remote:
    """One file of a published set.

    Args:
        name: file name.
        home: where its authors, or a long-lived mirror, publish it.
        hashes: accepted SHA-256 sums; more than one where the same content is published in several packings.
    """

    name: str
    home: str
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One named set: a one-line description, its folder and its files (none if generated or shipped)."""

    description: str
    folder: str = ""
    files: tuple[Remote, ...] = ()


_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"  # the hash, not the transport, is trusted
)
_OMNIGLOT = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"


def _idx(home: str, hashes: dict[str, str]) -> tuple[Remote, ...]:
    return tuple(Remote(f"{name}-ubyte.gz", f"{home}{name}-ubyte.gz", (sha,)) for name, sha in hashes.items())


ENTRIES: dict[str, Entry] = {
    "digits": Entry("8x8 handwritten digits, 1,797 images, 17 grey levels, 10 classes; always there"),
    "mnist": Entry(
        "28x28 handwritten digits, 60,000 + 10,000 images, 10 classes; drawn as binary pixels",
        "mnist",
        _idx(
            _MNIST,
            {
                "train-images-idx3": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "train-labels-idx1": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "t10k-images-idx3": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "t10k-labels-idx1": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
        ),
    ),
    "fashion_mnist": Entry(
        "28x28 grey pictures of clothes, 60,000 + 10,000 images, 10 classes",
        "fashion-mnist",
        _idx(
            _FASHION,
            {
                "train-images-idx3": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "train-labels-idx1": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "t10k-images-idx3": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "t10k-labels-idx1": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            },
        ),
    ),
    "omniglot": Entry(
        "handwritten characters of 50 alphabets, 19,280 + 13,180 images, 28x28 unless told; drawn as "
        "binary pixels",
        "omniglot",
        (
            # The first sum is of the archives as their author publishes them, the second of the same pictures
            # packed again.
            Remote(
                "images_background.zip",
                f"{_OMNIGLOT}images_background.zip",
                (
                    "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
                    "12f28f39d6d0baaa9b94998e145067e51cc8bdac385d5b3c8994ade9a99f11a2",
                ),
            ),
            Remote(
                "images_evaluation.zip",
                f"{_OMNIGLOT}images_evaluation.zip",
                (
                    "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
                    "7fd4f63de21cc4a4e0abb7d2f4b8d5491637b42651c1817c538392ae00186206",
                ),
            ),
        ),
    ),
    "dsprites": Entry(
        "64x64 sprites drawn from five known factors, 737,280 binary images; generated, always there"
    ),
    "darcy": Entry(
        "pressure and velocity of a flow through porous ground, 512 + 512 fields of 33x33 (or 17, 65) from "
        "two factors; generated, always there"
    ),
    "darcy_bimodal": Entry("the same, factors around 1 or -1: no rotation leaves their law as it is"),
    "darcy_shifted": Entry("the same, factors around 1"),
}


def names() -> list[tuple[str, str]]:
    """(name, one-line description) of every data set that `load` knows by name."""
    return [(name, entry.description) for name, entry in ENTRIES.items()]
