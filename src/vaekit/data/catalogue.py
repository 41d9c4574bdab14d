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
class Brought:
    """Published files that users bring themselves: large, or without a home that can be relied on.

    Args:
        folders: names that their folder may have below $VAEKIT_DATA or the cache; the first is ours.
        file: name of the one file, or "" where the whole folder is read.
        home: where its authors publish it.
    """

    folders: tuple[str, ...]
    file: str
    home: str


@dataclass(frozen=True)
class Entry:
    """One named set.

    Args:
        description: in one line.
        folder, files: what is fetched from a home; none if generated or shipped.
        brought: what a user has to bring.
        factors: whether it is ground truth: data made from known factors.
        options: of `ground_truth`, beside a path.
    """

    description: str
    folder: str = ""
    files: tuple[Remote, ...] = ()
    brought: Brought | None = None
    factors: bool = False
    options: tuple[str, ...] = ()


_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"  # the hash, not the transport, is trusted
)
_OMNIGLOT = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"


def _idx(home: str, hashes: dict[str, str]) -> tuple[Remote, ...]:
    return tuple(Remote(f"{name}-ubyte.gz", f"{home}{name}-ubyte.gz", (sha,)) for name, sha in hashes.items())


def _grids() -> dict[str, Entry]:
    sprites = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
    sprites_home = "https://github.com/google-deepmind/dsprites-dataset"
    norb_home = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"
    cars_home = "http://www.scottreed.info/files/nips2015-analogy-data.tar.gz"
    shapes_home = "https://storage.googleapis.com/3d-shapes/3dshapes.h5"
    arm_home = "https://github.com/rr-learning/disentanglement_dataset"
    scream_home = "any copy of the painting, as JPEG"
    file, places = Brought(("dsprites",), sprites, sprites_home), ("spacing", "placements")
    arm = {
        kind: Brought(("mpi3d", f"mpi3d_{kind}"), f"mpi3d_{kind}.npz", arm_home)
        for kind in ("toy", "realistic", "real")
    }
    described: dict[str, tuple[str, Brought | None, tuple[str, ...]]] = {
        "dsprites": (
            "64x64 sprites of five known factors, 737,280 binary images; drawn, or its file",
            file, (),
        ),
        "color_dsprites": ("dSprites in a random colour, which is no factor", file, ()),
        "noisy_dsprites": ("dSprites on a background of noise", file, ()),
        "scream_dsprites": (
            "dSprites inverting parts of a painting; needs scream.jpg",
            Brought(("scream",), "scream.jpg", scream_home), (),
        ),
        "smallnorb": (
            "64x64 grey toys of four known factors, 48,600 images; needs its files",
            Brought(("smallnorb", "small_norb"), "", norb_home), (),
        ),
        "cars3d": (
            "64x64 colour renderings of 183 cars, three known factors, 17,568 images; needs its files",
            Brought(("cars3d", "cars"), "", cars_home), (),
        ),
        "shapes3d": (
            "64x64 colour renderings of six known factors, 480,000 images; needs its file and h5py",
            Brought(("shapes3d", "3dshapes"), "3dshapes.h5", shapes_home), (),
        ),
        "mpi3d_toy": (
            "64x64 simple renderings of a robot arm, seven known factors; needs its file", arm["toy"], (),
        ),
        "mpi3d_realistic": ("the same arm, realistic renderings; needs its file", arm["realistic"], ()),
        "mpi3d_real": ("the same arm, photographed; needs its file", arm["real"], ()),
        "xysquares": (
            "64x64, a square in each colour, 8 x 8 places each, 262,144 binary images; drawn", None, places,
        ),
        "xcolumns": ("64x64, a column in each colour, 8 places each, 512 binary images; drawn", None, places),
        "xy_single_square": ("64x64, one square in 8 x 8 places, 64 binary images; drawn", None, places),
        "xyobject": ("64x64, a square of several sizes and colours, 75,000 images; drawn", None, places[:1]),
        "xyobject_shaded": ("the same, with the shade as a factor; drawn", None, places[:1]),
        "mini_sprites": ("16x16 squares and discs of four known factors, 1,440 grey images; drawn", None, ()),
        "mini_xy": ("16x16, a square in each of two channels, 4,096 binary images; drawn", None, ()),
    }  # fmt: skip
    return {
        name: Entry(text, brought=brought, factors=True, options=options)
        for name, (text, brought, options) in described.items()
    }


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
    "spoken_digits": Entry(
        "64x64 spectrograms of spoken digits (FSDD), 2,700 + 300 recordings, 10 classes; needs its "
        "recordings",
        brought=Brought(
            ("fsdd",), "recordings.zip", "https://github.com/Jakobovski/free-spoken-digit-dataset"
        ),
    ),
    "tiny_shakespeare": Entry(
        "pieces of 64 characters of Shakespeare's plays, 15,684 + 1,743, 65 different characters",
        "tinyshakespeare",
        (
            Remote(
                "input.txt",
                "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                ("86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",),
            ),
        ),
    ),
    **_grids(),
    "darcy": Entry(
        "pressure and velocity of a flow through porous ground, 512 + 512 fields of 33x33 (or 17, 65) from "
        "two factors; generated, always there"
    ),
    "darcy_bimodal": Entry("the same, factors around 1 or -1: no rotation leaves their law as it is"),
    "darcy_shifted": Entry("the same, factors around 1"),
}


def key_of(name: str) -> str | None:
    """The name of a set as the catalogue has it, however it is written (`fashion-mnist`); None for no set."""
    key = name.lower().replace("-", "_")
    return key if key in ENTRIES else None


def names() -> list[tuple[str, str]]:
    """(name, one-line description) of every data set that `load` knows by name."""
    return [(name, entry.description) for name, entry in ENTRIES.items()]
