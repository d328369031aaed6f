"""Models of transformers, with tiny configurations and random weights."""

import torch
from . import torchvision_import  # noqa: F401  (before transformers, which imports torchvision)
import transformers as T
from torch import nn

from .registry import add, normal, tokens

FAMILY = "transformers"
WORDS = 13


class Body(nn.Module):
    """Takes token ids; gives one tensor."""

    def __init__(self, body, pick):
        super().__init__()
        self.body = body
        self.pick = pick

    def forward(self, ids):
        return self.pick(self.body(input_ids=ids))


def logits(y):
    return y.logits


def hidden(y):
    return y.last_hidden_state


def text(name, kind, config, pick=logits, length=4, **fields):
    def build(rows):
        body = kind(config(**fields))
        return Body(body, pick), (tokens(WORDS - 2, rows, length) + 2,)

    add(f"hf-{name}", FAMILY, build, rows=3)


class Continued(nn.Module):
    """Goes on from keys and values of earlier tokens, which are inputs of [rows, layers, heads, tokens, width]."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, ids, keys, values):
        cache = T.DynamicCache()
        for layer in range(keys.shape[1]):
            cache.update(keys[:, layer], values[:, layer], layer)
        return self.body(input_ids=ids, past_key_values=cache, use_cache=True).logits


class NextToken(nn.Module):
    """Generates a token, then goes on from it with the cache of the step before."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, ids):
        first = self.body(input_ids=ids, use_cache=True)
        following = first.logits[:, -1:].argmax(-1)
        return self.body(input_ids=following, past_key_values=first.past_key_values, use_cache=True).logits[:, -1]


def cached(name, kind, config, layers, heads, width, **fields):
    def continued(rows):
        keys, values = (normal(rows, layers, heads, 3, width) for _ in range(2))
        return Continued(kind(config(**fields))), (tokens(WORDS - 2, rows, 2) + 2, keys, values)

    def following(rows):
        return NextToken(kind(config(**fields))), (tokens(WORDS - 2, rows, 4) + 2,)

    add(f"hf-{name}-cache-given", FAMILY, continued, rows=3)
    add(f"hf-{name}-next-token", FAMILY, following, rows=3)


def images(name, kind, config, pick=logits, size=8, channels=3, **fields):
    class Vision(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = kind(config(**fields))

        def forward(self, pixels):
            return pick(self.body(pixel_values=pixels))

    add(f"hf-{name}", FAMILY, lambda rows: (Vision(), (normal(rows, channels, size, size),)), rows=3)


SMALL = {"vocab_size": WORDS, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 16}
CACHE = {"use_cache": False, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
ROPE = {**SMALL, **CACHE, "num_key_value_heads": 1}

# with caches of keys and values
cached("llama", T.LlamaForCausalLM, T.LlamaConfig, 2, 1, 4, **{**ROPE, "num_hidden_layers": 2})
cached("qwen3", T.Qwen3ForCausalLM, T.Qwen3Config, 1, 1, 4, **ROPE, head_dim=4)
cached("gpt2", T.GPT2LMHeadModel, T.GPT2Config, 1, 2, 4, vocab_size=WORDS, n_embd=8, n_layer=1, n_head=2, n_positions=16)

# encoders
for name, kind, config in [
    ("bert", T.BertForSequenceClassification, T.BertConfig), ("roberta", T.RobertaForSequenceClassification, T.RobertaConfig),
    ("electra", T.ElectraForSequenceClassification, T.ElectraConfig), ("camembert", T.CamembertForSequenceClassification, T.CamembertConfig),
    ("ernie", T.ErnieForSequenceClassification, T.ErnieConfig), ("rembert", T.RemBertForSequenceClassification, T.RemBertConfig),
    ("convbert", T.ConvBertForSequenceClassification, T.ConvBertConfig), ("megatron-bert", T.MegatronBertForSequenceClassification, T.MegatronBertConfig),
    ("roformer", T.RoFormerForSequenceClassification, T.RoFormerConfig), ("mpnet", T.MPNetForSequenceClassification, T.MPNetConfig),
    ("xlm-roberta", T.XLMRobertaForSequenceClassification, T.XLMRobertaConfig), ("data2vec-text", T.Data2VecTextForSequenceClassification, T.Data2VecTextConfig),
    ("layoutlm", T.LayoutLMForSequenceClassification, T.LayoutLMConfig),
]:
    text(name, kind, config, **SMALL, num_labels=3, **({"embedding_size": 8} if name in ("electra", "roformer", "convbert") else {"input_embedding_size": 8} if name == "rembert" else {}))
text("bert-eager", T.BertForMaskedLM, T.BertConfig, **SMALL, attn_implementation="eager")
text("bert-masked-lm", T.BertForMaskedLM, T.BertConfig, **SMALL)
text("distilbert", T.DistilBertForSequenceClassification, T.DistilBertConfig, vocab_size=WORDS, dim=8, n_layers=1, n_heads=2, hidden_dim=12, max_position_embeddings=16)
text("albert", T.AlbertForSequenceClassification, T.AlbertConfig, **SMALL, embedding_size=6)
text("deberta", T.DebertaForSequenceClassification, T.DebertaConfig, **SMALL, relative_attention=True, pos_att_type="c2p|p2c")
text("deberta-v2", T.DebertaV2ForSequenceClassification, T.DebertaV2Config, **SMALL, relative_attention=True, pos_att_type="c2p|p2c")
text("fnet", T.FNetForSequenceClassification, T.FNetConfig, vocab_size=WORDS, hidden_size=8, num_hidden_layers=1, intermediate_size=12, max_position_embeddings=16)
text("nystromformer", T.NystromformerForSequenceClassification, T.NystromformerConfig, **SMALL, num_landmarks=4, segment_means_seq_len=4, inv_coeff_init_option=False, conv_kernel_size=3)
text("squeezebert", T.SqueezeBertForSequenceClassification, T.SqueezeBertConfig, **SMALL, embedding_size=8, q_groups=1, k_groups=1, v_groups=1, post_attention_groups=1, intermediate_groups=1, output_groups=1)
text("modernbert", T.ModernBertForSequenceClassification, T.ModernBertConfig, **SMALL, pad_token_id=0, attn_implementation="sdpa")
text("ibert", T.IBertForSequenceClassification, T.IBertConfig, **SMALL)
text("mobilebert", T.MobileBertForSequenceClassification, T.MobileBertConfig, **SMALL, embedding_size=8, intra_bottleneck_size=8, num_feedforward_networks=1)
text("funnel", T.FunnelForSequenceClassification, T.FunnelConfig, vocab_size=WORDS, block_sizes=[1, 1], num_decoder_layers=1, d_model=8, n_head=2, d_head=4, d_inner=12)
text("xlnet", T.XLNetForSequenceClassification, T.XLNetConfig, vocab_size=WORDS, d_model=8, n_layer=1, n_head=2, d_inner=12)
text("xlm", T.XLMForSequenceClassification, T.XLMConfig, vocab_size=WORDS, emb_dim=8, n_layers=1, n_heads=2, max_position_embeddings=16)
text("canine", T.CanineForSequenceClassification, T.CanineConfig, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12, max_position_embeddings=16, num_hash_functions=2, num_hash_buckets=8, downsampling_rate=2, local_transformer_stride=4)

# decoders
for name, kind, config in [
    ("llama", T.LlamaForCausalLM, T.LlamaConfig), ("mistral", T.MistralForCausalLM, T.MistralConfig), ("qwen2", T.Qwen2ForCausalLM, T.Qwen2Config),
    ("qwen3", T.Qwen3ForCausalLM, T.Qwen3Config), ("gemma", T.GemmaForCausalLM, T.GemmaConfig), ("gemma2", T.Gemma2ForCausalLM, T.Gemma2Config),
    ("phi", T.PhiForCausalLM, T.PhiConfig), ("phi3", T.Phi3ForCausalLM, T.Phi3Config), ("stablelm", T.StableLmForCausalLM, T.StableLmConfig),
    ("olmo", T.OlmoForCausalLM, T.OlmoConfig), ("olmo2", T.Olmo2ForCausalLM, T.Olmo2Config), ("starcoder2", T.Starcoder2ForCausalLM, T.Starcoder2Config),
    ("cohere", T.CohereForCausalLM, T.CohereConfig), ("granite", T.GraniteForCausalLM, T.GraniteConfig), ("nemotron", T.NemotronForCausalLM, T.NemotronConfig),
    ("persimmon", T.PersimmonForCausalLM, T.PersimmonConfig), ("glm", T.GlmForCausalLM, T.GlmConfig), ("mixtral", T.MixtralForCausalLM, T.MixtralConfig),
    ("gpt-neox", T.GPTNeoXForCausalLM, T.GPTNeoXConfig), ("helium", T.HeliumForCausalLM, T.HeliumConfig), ("smollm3", T.SmolLM3ForCausalLM, T.SmolLM3Config),
]:
    text(name, kind, config, **ROPE, **({"head_dim": 4} if name in ("gemma", "gemma2", "glm", "helium", "qwen3") else {}))
text("llama-eager", T.LlamaForCausalLM, T.LlamaConfig, **ROPE, attn_implementation="eager")
text("llama-classifier", T.LlamaForSequenceClassification, T.LlamaConfig, **ROPE)
text("gpt2", T.GPT2LMHeadModel, T.GPT2Config, vocab_size=WORDS, n_embd=8, n_layer=1, n_head=2, n_positions=16, **CACHE)
text("gpt2-eager", T.GPT2LMHeadModel, T.GPT2Config, vocab_size=WORDS, n_embd=8, n_layer=1, n_head=2, n_positions=16, attn_implementation="eager", **CACHE)
text("gpt-neo", T.GPTNeoForCausalLM, T.GPTNeoConfig, vocab_size=WORDS, hidden_size=8, num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]], max_position_embeddings=16, window_size=2, **CACHE)
text("gptj", T.GPTJForCausalLM, T.GPTJConfig, vocab_size=WORDS, n_embd=8, n_layer=1, n_head=2, n_positions=16, rotary_dim=4, **CACHE)
text("codegen", T.CodeGenForCausalLM, T.CodeGenConfig, vocab_size=WORDS, n_embd=16, n_layer=1, n_head=4, n_positions=16, rotary_dim=4, **CACHE)
text("gpt-bigcode", T.GPTBigCodeForCausalLM, T.GPTBigCodeConfig, vocab_size=WORDS, n_embd=8, n_layer=1, n_head=2, n_positions=16, **CACHE)
text("opt", T.OPTForCausalLM, T.OPTConfig, vocab_size=WORDS, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, ffn_dim=12, max_position_embeddings=16, word_embed_proj_dim=8, **CACHE)
text("bloom", T.BloomForCausalLM, T.BloomConfig, vocab_size=WORDS, hidden_size=8, n_layer=1, n_head=2, **CACHE)
text("falcon", T.FalconForCausalLM, T.FalconConfig, vocab_size=WORDS, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, **CACHE)
text("mpt", T.MptForCausalLM, T.MptConfig, vocab_size=WORDS, d_model=8, n_heads=2, n_layers=1, max_seq_len=16, use_cache=False)
text("mamba", T.MambaForCausalLM, T.MambaConfig, vocab_size=WORDS, hidden_size=8, num_hidden_layers=1, state_size=4, use_cache=False)
text("xglm", T.XGLMForCausalLM, T.XGLMConfig, vocab_size=WORDS, d_model=8, ffn_dim=12, num_layers=1, attention_heads=2, max_position_embeddings=16, **CACHE)
text("biogpt", T.BioGptForCausalLM, T.BioGptConfig, **SMALL, **CACHE)
text("openai-gpt", T.OpenAIGPTLMHeadModel, T.OpenAIGPTConfig, vocab_size=WORDS, n_embd=8, n_layer=1, n_head=2, n_positions=16)


class EncoderDecoder(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, ids, target):
        return self.body(input_ids=ids, decoder_input_ids=target, use_cache=False).logits


def seq2seq(name, kind, config, **fields):
    add(f"hf-{name}", FAMILY, lambda rows: (EncoderDecoder(kind(config(**fields))), (tokens(WORDS - 2, rows, 4) + 2, tokens(WORDS - 2, rows, 3) + 2)), rows=3)


BART = {"vocab_size": WORDS, "d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 12, "decoder_ffn_dim": 12, "max_position_embeddings": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1, "decoder_start_token_id": 1}
seq2seq("bart", T.BartForConditionalGeneration, T.BartConfig, **BART)
seq2seq("mbart", T.MBartForConditionalGeneration, T.MBartConfig, **BART)
seq2seq("pegasus", T.PegasusForConditionalGeneration, T.PegasusConfig, **BART)
seq2seq("marian", T.MarianMTModel, T.MarianConfig, **BART, decoder_vocab_size=WORDS)
seq2seq("m2m100", T.M2M100ForConditionalGeneration, T.M2M100Config, **BART)
T5 = {"vocab_size": WORDS, "d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
seq2seq("t5", T.T5ForConditionalGeneration, T.T5Config, **T5)
seq2seq("t5-gated", T.T5ForConditionalGeneration, T.T5Config, **T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
seq2seq("mt5", T.MT5ForConditionalGeneration, T.MT5Config, **T5)

# images
PATCH = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12, "image_size": 8, "patch_size": 4}
images("vit", T.ViTForImageClassification, T.ViTConfig, **PATCH)
images("deit", T.DeiTForImageClassification, T.DeiTConfig, **PATCH)
images("beit", T.BeitForImageClassification, T.BeitConfig, **PATCH, use_relative_position_bias=True)
images("dinov2", T.Dinov2ForImageClassification, T.Dinov2Config, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4, mlp_ratio=2)
images("vit-msn", T.ViTMSNForImageClassification, T.ViTMSNConfig, **PATCH)
images("clip-vision", T.CLIPVisionModelWithProjection, T.CLIPVisionConfig, pick=lambda y: y.image_embeds, **PATCH, projection_dim=6)
images("siglip-vision", T.SiglipVisionModel, T.SiglipVisionConfig, pick=lambda y: y.pooler_output, **PATCH)
images("swin", T.SwinForImageClassification, T.SwinConfig, size=8, image_size=8, patch_size=2, embed_dim=8, depths=[2], num_heads=[2], window_size=2)
images("convnext", T.ConvNextForImageClassification, T.ConvNextConfig, size=16, hidden_sizes=[8, 8], depths=[1, 1], num_stages=2)
images("resnet", T.ResNetForImageClassification, T.ResNetConfig, size=16, embedding_size=4, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic")
images("segformer", T.SegformerForImageClassification, T.SegformerConfig, size=16, hidden_sizes=[8, 8], depths=[1, 1], num_encoder_blocks=2, num_attention_heads=[1, 2], sr_ratios=[2, 1], patch_sizes=[3, 3], strides=[2, 2], mlp_ratios=[2, 2])
images("mobilenet-v2", T.MobileNetV2ForImageClassification, T.MobileNetV2Config, size=32, depth_multiplier=0.1, finegrained_output=False)
images("poolformer", T.PoolFormerForImageClassification, T.PoolFormerConfig, size=16, hidden_sizes=[8, 8], depths=[1, 1], num_encoder_blocks=2, patch_sizes=[3, 3], strides=[2, 2], padding=[1, 1])
images("levit", T.LevitForImageClassification, T.LevitConfig, size=32, image_size=32, hidden_sizes=[16, 16, 16], num_attention_heads=[2, 2, 2], depths=[1, 1, 1], key_dim=[4, 4, 4], mlp_ratio=[2, 2, 2])
