"""Vision models of torchvision and timm, as small as their configurations allow."""


import torch
from torch import nn

from .registry import add, normal
from .torchvision_import import torchvision

if torchvision is None:
    raise ImportError("torchvision")

import timm
from torchvision.models import convnext, densenet, efficientnet, maxvit, mnasnet, mobilenetv2, mobilenetv3, regnet, resnet, shufflenetv2, squeezenet, swin_transformer, vgg, vision_transformer


from torchvision.models.segmentation import deeplabv3, fcn
from torchvision.models.googlenet import Inception
from torchvision.ops import DropBlock2d, FeaturePyramidNetwork, MLP, Permute, SqueezeExcitation, StochasticDepth, Conv2dNormActivation
from torchvision.models.video.resnet import BasicBlock as VideoBlock, Conv3DSimple

VISION, TIMM = "torchvision", "timm"


def vision(name, make, *shape, **options):
    add(name, VISION, lambda rows: (make(), (normal(rows, *(shape or (3, 16, 16))),)), rows=3, **options)


def block(kind, width, **options):
    """A residual block of the library, with a head."""
    return nn.Sequential(kind(width, width, **options), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))


def head(body, width, classes=3):
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


vision("tv-resnet-basic-block", lambda: block(resnet.BasicBlock, 4), 4, 6, 6)
vision("tv-resnet-bottleneck", lambda: head(nn.Sequential(resnet.Bottleneck(8, 2), resnet.Bottleneck(8, 2)), 8), 8, 6, 6)
vision("tv-resnext-bottleneck", lambda: head(resnet.Bottleneck(8, 2, groups=2, base_width=64), 8), 8, 6, 6)


def tv_resnet():
    net = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1], num_classes=4)
    net.inplanes = 8
    net.conv1, net.bn1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
    net.layer1 = net._make_layer(resnet.BasicBlock, 8, 1)
    net.layer2 = net._make_layer(resnet.BasicBlock, 12, 1, stride=2)
    net.layer3 = net._make_layer(resnet.BasicBlock, 12, 1, stride=2)
    net.layer4 = net._make_layer(resnet.BasicBlock, 16, 1, stride=2)
    net.fc = nn.Linear(16, 4)
    return net


vision("tv-resnet", tv_resnet, 3, 32, 32)
vision("tv-vgg-bn", lambda: head(vgg.make_layers([4, "M", 6, "M"], batch_norm=True), 6))
vision("tv-vgg", lambda: head(vgg.make_layers([4, 4, "M", 6], batch_norm=False), 6))
vision("tv-squeezenet-fire", lambda: head(squeezenet.Fire(4, 2, 4, 4), 8), 4, 6, 6)
vision("tv-densenet", lambda: densenet.DenseNet(4, (2, 2), 8, bn_size=2, num_classes=3), 3, 32, 32)
vision("tv-densenet-checkpointed", lambda: densenet.DenseNet(4, (2,), 8, bn_size=2, num_classes=3, memory_efficient=True), 3, 32, 32)
vision("tv-googlenet-inception", lambda: head(Inception(4, 3, 2, 4, 2, 3, 2), 12), 4, 6, 6)
vision("tv-mobilenet-v2", lambda: mobilenetv2.MobileNetV2(3, 0.25, [[1, 8, 1, 1], [3, 8, 2, 2]], round_nearest=4))
vision("tv-mobilenet-v3", lambda: mobilenetv3.MobileNetV3([mobilenetv3.InvertedResidualConfig(8, 3, 16, 8, True, "RE", 2, 1, 1), mobilenetv3.InvertedResidualConfig(8, 3, 16, 8, True, "HS", 1, 1, 1)], 16, num_classes=3))
vision("tv-efficientnet", lambda: efficientnet.EfficientNet([efficientnet.MBConvConfig(1, 3, 1, 8, 8, 1, 1.0, 1.0), efficientnet.MBConvConfig(2, 3, 2, 8, 8, 2, 1.0, 1.0)], 0.2, num_classes=3, last_channel=16))
vision("tv-efficientnet-v2", lambda: efficientnet.EfficientNet([efficientnet.FusedMBConvConfig(2, 3, 1, 8, 8, 1), efficientnet.MBConvConfig(2, 3, 2, 8, 8, 1, 1.0, 1.0)], 0.2, num_classes=3, last_channel=16))
vision("tv-shufflenet", lambda: shufflenetv2.ShuffleNetV2([2, 2, 2], [8, 16, 16, 16, 32], num_classes=3), 3, 32, 32)
vision("tv-mnasnet", lambda: head(mnasnet._stack(8, 8, 3, 2, 3, 2, 0.01), 8), 8, 6, 6)
vision("tv-convnext", lambda: convnext.ConvNeXt([convnext.CNBlockConfig(8, 12, 1), convnext.CNBlockConfig(12, None, 1)], num_classes=3))
vision("tv-regnet", lambda: regnet.RegNet(regnet.BlockParams([2, 1], [8, 16], [4, 4], [1.0, 1.0], [2, 2], 0.25), num_classes=3, stem_width=8))
vision("tv-vit", lambda: vision_transformer.VisionTransformer(8, 4, 1, 2, 8, 16, num_classes=3), 3, 8, 8)
vision("tv-vit-2-blocks", lambda: vision_transformer.VisionTransformer(8, 4, 2, 4, 8, 16, dropout=0.1, num_classes=3, representation_size=6), 3, 8, 8)
vision("tv-swin", lambda: swin_transformer.SwinTransformer([2, 2], 8, [1, 1], [2, 2], [2, 2], 2.0, num_classes=3))
vision("tv-swin-v2", lambda: swin_transformer.SwinTransformer([2, 2], 8, [1, 1], [2, 2], [2, 2], 2.0, num_classes=3, block=swin_transformer.SwinTransformerBlockV2, downsample_layer=swin_transformer.PatchMergingV2))
vision("tv-maxvit", lambda: maxvit.MaxVit((16, 16), 8, 2, [8, 8], [1, 1], 4, 0.0, num_classes=3))
vision("tv-deeplab-aspp", lambda: deeplabv3.ASPP(4, [1, 2], 6), 4, 6, 6)
vision("tv-fcn-head", lambda: fcn.FCNHead(8, 3), 8, 6, 6)
vision("tv-squeeze-excitation", lambda: head(SqueezeExcitation(4, 2), 4), 4, 4, 4)
vision("tv-conv-norm-act", lambda: head(Conv2dNormActivation(3, 6, 3, 2, activation_layer=nn.Hardswish), 6))
vision("tv-mlp", lambda: MLP(4, [6, 3], norm_layer=nn.LayerNorm, activation_layer=nn.GELU, dropout=0.1), 4)
vision("tv-stochastic-depth", lambda: nn.Sequential(nn.Conv2d(3, 4, 3), StochasticDepth(0.5, "row"), DropBlock2d(0.5, 3), Permute([0, 2, 3, 1]), nn.Linear(4, 2)), 3, 4, 4)
vision("tv-video-r3d-block", lambda: nn.Sequential(VideoBlock(3, 3, Conv3DSimple), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 2)), 3, 2, 4, 4)


class Pyramid(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 6, 3, 2, 1)
        self.fpn = FeaturePyramidNetwork([4, 6], 4)

    def forward(self, x):
        a = self.a(x).relu()
        return self.fpn({"a": a, "b": self.b(a).relu()})["a"]


vision("tv-feature-pyramid", Pyramid, 3, 8, 8)


def of_timm(name, model, *shape, **options):
    """A model of timm's registry with a small configuration."""
    rows = options.pop("rows", 2)
    keep = {"num_classes": 3, **options}
    add(f"timm-{name}", TIMM, lambda n: (timm.create_model(model, pretrained=False, **keep), (normal(n, *(shape or (3, 16, 16))),)), rows=max(rows, 3))


VIT = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
of_timm("vit", "vit_tiny_patch16_224", **VIT)
of_timm("vit-relpos", "vit_relpos_small_patch16_224", **VIT)
of_timm("vit-qk-norm", "vit_tiny_patch16_224", **VIT, qk_norm=True, init_values=0.1, class_token=False, global_pool="avg")
of_timm("deit", "deit_tiny_distilled_patch16_224", **VIT)
of_timm("beit", "beit_base_patch16_224", **VIT)
of_timm("cait", "cait_xxs24_224", img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=2)
of_timm("xcit", "xcit_nano_12_p16_224", img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=2)
of_timm("eva", "eva02_tiny_patch14_224", img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=2)
of_timm("resnet", "resnet10t", 3, 32, 32, channels=(8, 8, 12, 12), stem_width=4, stem_type="")
of_timm("resnet-d-se", "resnet10t", 3, 32, 32, channels=(8, 8, 12, 12), stem_width=4, block_args={"attn_layer": "se"})
of_timm("resnetv2", "resnetv2_50", 3, 32, 32, layers=(1, 1), channels=(8, 16), stem_chs=4)
of_timm("swin", "swin_tiny_patch4_window7_224", img_size=16, patch_size=4, embed_dim=8, depths=(2,), num_heads=(2,), window_size=2)
of_timm("swin-v2", "swinv2_tiny_window8_256", img_size=16, patch_size=4, embed_dim=8, depths=(2,), num_heads=(2,), window_size=2)
of_timm("pvt-v2", "pvt_v2_b0", 3, 32, 32, depths=(1, 1, 1, 1), embed_dims=(8, 8, 8, 8), num_heads=(1, 1, 2, 2))
of_timm("levit", "levit_128s", 3, 32, 32, img_size=32, embed_dim=(16, 16, 16), key_dim=8, depth=(1, 1, 1), num_heads=(2, 2, 2))
of_timm("edgenext", "edgenext_xx_small", 3, 32, 32, depths=(1, 1, 1, 1), dims=(8, 16, 16, 16), heads=(2, 2, 2, 2))
of_timm("inception-next", "inception_next_atto", 3, 32, 32, depths=(1, 1, 1, 1), dims=(8, 8, 16, 16))
of_timm("starnet", "starnet_s050", 3, 32, 32, base_dim=4, depths=(1, 1, 1, 1))
of_timm("fastvit", "fastvit_t8", 3, 32, 32, layers=(1, 1, 1, 1), embed_dims=(8, 8, 8, 8), mlp_ratios=(2, 2, 2, 2))


def timm_class(name, make, *shape):
    add(f"timm-{name}", TIMM, lambda rows: (make(), (normal(rows, *(shape or (3, 16, 16))),)), rows=3)


from timm.models import convmixer, convnext as timm_convnext, focalnet, ghostnet, metaformer, mlp_mixer, tnt  # noqa: E402
from timm.models import _efficientnet_blocks as efficientnet_blocks  # noqa: E402
from timm.layers import Attention2d, BlurPool2d, EcaModule, GlobalResponseNormMlp, GluMlp, SelectiveKernel, SplitAttn, SwiGLU  # noqa: E402

MIXER = {"num_classes": 3, "img_size": 16, "patch_size": 8, "num_blocks": 1, "embed_dim": 8}
timm_class("mixer", lambda: mlp_mixer.MlpMixer(**MIXER))
timm_class("gmlp", lambda: mlp_mixer.MlpMixer(**MIXER, mlp_ratio=4, block_layer=mlp_mixer.SpatialGatingBlock, mlp_layer=mlp_mixer.GatedMlp))
timm_class("resmlp", lambda: mlp_mixer.MlpMixer(**MIXER, mlp_ratio=4, block_layer=mlp_mixer.ResBlock, norm_layer=mlp_mixer.Affine))
timm_class("convmixer", lambda: convmixer.ConvMixer(8, 1, 3, 4, num_classes=3))
timm_class("convnext", lambda: timm_convnext.ConvNeXt(num_classes=3, depths=(1, 1, 1, 1), dims=(4, 8, 8, 8)), 3, 32, 32)
timm_class("convnext-v2", lambda: timm_convnext.ConvNeXt(num_classes=3, depths=(1, 1, 1, 1), dims=(4, 8, 8, 8), use_grn=True, ls_init_value=None), 3, 32, 32)
timm_class("poolformer", lambda: metaformer.MetaFormer(num_classes=3, depths=(1, 1, 1, 1), dims=(4, 8, 8, 8)), 3, 32, 32)
timm_class("focalnet", lambda: focalnet.FocalNet(num_classes=3, embed_dim=8, depths=(1, 1)), 3, 32, 32)
timm_class("ghostnet-bottleneck", lambda: head(ghostnet.GhostBottleneck(8, 8, 8, se_ratio=0.25), 8), 8, 6, 6)
timm_class("inverted-residual", lambda: head(efficientnet_blocks.InvertedResidual(8, 8, exp_ratio=2.0, se_layer=efficientnet_blocks.SqueezeExcite), 8), 8, 6, 6)
timm_class("tnt", lambda: tnt.TNT(img_size=16, patch_size=8, num_classes=3, embed_dim=16, inner_dim=4, depth=1, num_heads_inner=2, num_heads_outer=2))
timm_class("attention-2d", lambda: head(Attention2d(8, 8, 2), 8), 8, 4, 4)
timm_class("blur-pool", lambda: head(nn.Sequential(nn.Conv2d(3, 4, 3), BlurPool2d(4)), 4), 3, 8, 8)
timm_class("eca", lambda: head(EcaModule(4), 4), 4, 4, 4)
timm_class("selective-kernel", lambda: head(SelectiveKernel(4, 4), 4), 4, 6, 6)
timm_class("split-attention", lambda: head(SplitAttn(4, 4), 4), 4, 6, 6)
timm_class("glu-mlp", lambda: GluMlp(4, 8, 3), 4)
timm_class("swiglu", lambda: SwiGLU(4, 8, 3), 4)
timm_class("grn-mlp", lambda: GlobalResponseNormMlp(4, 8, 3, use_conv=True), 4, 3, 3)
