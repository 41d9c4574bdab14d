"""Networks: modules from tensors to tensors, one architecture a file.

Every network is built as `Net(inputs, output, ...)` from the event shapes of its inputs and of its result,
accepts any leading axes (sample, batch, ...) and broadcasts them against each other, knows nothing of
distributions, and treats each datum on its own: none normalises over the batch, unless `BatchNorm` is asked
for, which says so (`couples_batch`). Its last layer is its attribute `output_layer`.
"""

from vaekit.networks.batch_norm import BatchNorm
from vaekit.networks.choose import Architecture, make_decoder, make_encoder, resolve
from vaekit.networks.codes import CodeDecoder, CodeEncoder, CodeHead, CodePyramid
from vaekit.networks.conv28 import Conv28Decoder, Conv28Encoder
from vaekit.networks.conv64 import StudyDecoder, StudyEncoder
from vaekit.networks.dense_blocks import DenseBlockDecoder, DenseBlockEncoder
from vaekit.networks.dlgm import DlgmDecoder
from vaekit.networks.gated import GatedMLP
from vaekit.networks.initialise import set_output_bias
from vaekit.networks.ladder import Downward, Upward
from vaekit.networks.leave_one_out import LeaveOneOut
from vaekit.networks.mlp import MLP, Activation, Init
from vaekit.networks.pixelcnn import CausalAttention, CausalConv2d, PixelCNN
from vaekit.networks.resnet import ResidualDecoder, ResidualEncoder
from vaekit.networks.skip import SkipMLP
from vaekit.networks.standard import Restored, Standardised
from vaekit.networks.tokens import Tokens

__all__ = [
    "MLP",
    "Activation",
    "Architecture",
    "BatchNorm",
    "CausalAttention",
    "CausalConv2d",
    "CodeDecoder",
    "CodeEncoder",
    "CodeHead",
    "CodePyramid",
    "Conv28Decoder",
    "Conv28Encoder",
    "DenseBlockDecoder",
    "DenseBlockEncoder",
    "DlgmDecoder",
    "Downward",
    "GatedMLP",
    "Init",
    "LeaveOneOut",
    "PixelCNN",
    "ResidualDecoder",
    "ResidualEncoder",
    "Restored",
    "SkipMLP",
    "Standardised",
    "StudyDecoder",
    "StudyEncoder",
    "Tokens",
    "Upward",
    "make_decoder",
    "make_encoder",
    "resolve",
    "set_output_bias",
]
