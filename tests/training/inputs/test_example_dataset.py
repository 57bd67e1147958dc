import numpy as np
import pytest
import torch
from PIL import Image
from runtime_fixtures import opened

from saliency.errors import PhotoError
from saliency.training.inputs.augmentation import Augmentation
from saliency.training.inputs.example_dataset import ExampleDataset
from saliency.training.inputs.sampling import BatchSampler, Draw
from saliency.training.inputs.source import Source

WIDTH, HEIGHT = 96, 64
NO_FIXATIONS = np.zeros((0, 2))
DRAW = Draw(0, (HEIGHT, WIDTH), (0, 3, 5))


@pytest.fixture
def photo_path(tmp_path):
    """A photo of noise, so that no two variants of it are alike."""
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    return tmp_path / "noise.png"


def fixations(count=12, *, seed=0):
    return np.random.default_rng(seed).uniform((0, 0), (WIDTH, HEIGHT), size=(count, 2))


def density(*, seed=1):
    values = np.random.default_rng(seed).random((8, 12)).astype(np.float32)
    return values / values.sum()


def source(path, *, fixations=NO_FIXATIONS, teacher=None):
    return Source(path, WIDTH, HEIGHT, fixations, teacher)


def example(source, draw=DRAW, **options):
    return ExampleDataset([source], **{"teacher_weight": 0.25, **options})[draw]


def test_example_is_of_the_size_of_its_draw(photo_path):
    photo, target = example(source(photo_path, fixations=fixations()), Draw(0, (32, 64), (0,)))
    assert (photo.shape, photo.dtype) == ((32, 64, 3), torch.uint8)
    assert (target.shape, target.dtype) == ((32, 64), torch.float32)


@pytest.mark.parametrize("blur", [0.0, 0.03])
@pytest.mark.parametrize(
    ("count", "has_teacher"), [(0, True), (1, True), (12, True), (1, False), (12, False)]
)
@pytest.mark.parametrize("size", [(64, 96), (96, 32)])
def test_target_sums_to_one(photo_path, blur, has_teacher, count, size):
    made = source(
        photo_path, fixations=fixations(count), teacher=density() if has_teacher else None
    )
    _, target = example(made, Draw(0, size, (0, 3)), blur=blur)
    assert target.min() >= 0
    assert target.double().sum().item() == pytest.approx(1, abs=1e-5)


def test_target_of_fixations_counts_each_of_them(photo_path):
    twice, once = (10.2, 20.7), (70.0, 40.9)
    points = np.array([twice, once, twice])
    # Of the seeds, one whose variant is neither cropped nor flipped: the pixels are the photo's.
    expected = np.zeros((HEIGHT, WIDTH))
    expected[20, 10], expected[40, 70] = 2 / 3, 1 / 3
    made = source(photo_path, fixations=points)
    original = opened(photo_path)
    for seed in range(40):
        photo, target = example(made, Draw(0, (HEIGHT, WIDTH), (seed,)), strength=0.0)
        if np.array_equal(photo, original):
            break
    else:
        pytest.fail("no variant was the photo itself")
    np.testing.assert_allclose(target, expected, atol=1e-7)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_target_is_the_mixture_of_fixations_and_teacher(photo_path, share):
    points, teacher = fixations(), density()
    _, of_fixations = example(source(photo_path, fixations=points))
    _, of_teacher = example(
        source(photo_path, fixations=points, teacher=teacher), teacher_weight=1.0
    )
    _, mixed = example(source(photo_path, fixations=points, teacher=teacher), teacher_weight=share)
    expected = (1 - share) * of_fixations + share * of_teacher
    torch.testing.assert_close(mixed, expected, atol=1e-7, rtol=1e-5)


def test_photo_without_fixations_learns_from_its_teacher_alone(photo_path):
    made = source(photo_path, teacher=density())
    photo, target = example(made, teacher_weight=0.25)
    other_photo, other_target = example(made, teacher_weight=0.75)
    assert torch.equal(photo, other_photo)
    assert torch.equal(target, other_target)


def test_blur_spreads_the_target_but_keeps_its_middle(photo_path):
    made = source(photo_path, fixations=np.array([[48.5, 32.5]]))
    columns = torch.arange(WIDTH) + 0.5
    sharp, blurred = (example(made, blur=blur)[1] for blur in (0.0, 0.02))
    assert sharp.max() == 1
    middles = [(target.sum(dim=0) * columns).sum().item() for target in (sharp, blurred)]
    assert middles[0] == pytest.approx(middles[1], abs=0.01)
    variance = (blurred.sum(dim=0) * (columns - middles[1]) ** 2).sum().item()
    assert variance == pytest.approx((0.02 * np.sqrt(WIDTH * HEIGHT)) ** 2, rel=0.1)


def test_same_draw_gives_the_same_example_whatever_came_before(photo_path):
    made = source(photo_path, fixations=fixations(), teacher=density())
    examples = ExampleDataset([made], teacher_weight=0.25, blur=0.01)
    first = examples[DRAW]
    for seed in range(5):
        examples[Draw(0, (32, 64), (seed,))]
    again, elsewhere = examples[DRAW], ExampleDataset([made], teacher_weight=0.25, blur=0.01)[DRAW]
    for photo, target in (again, elsewhere):
        assert torch.equal(photo, first[0])
        assert torch.equal(target, first[1])


def test_other_seeds_give_other_examples(photo_path):
    made = source(photo_path, fixations=fixations())
    photos = [example(made, Draw(0, (HEIGHT, WIDTH), (seed,)))[0] for seed in range(6)]
    assert len({photo.numpy().tobytes() for photo in photos}) == 6


def test_fixations_follow_a_photo_that_is_decoded_smaller(tmp_path):
    pixels = np.full((640, 960), 30, np.uint8)
    pixels[400:480, 160:240] = 250
    Image.fromarray(pixels).convert("RGB").save(tmp_path / "large.jpg", quality=95)
    made = Source(tmp_path / "large.jpg", 960, 640, np.array([[200.0, 440.0]] * 4))
    for seed in range(6):
        photo, target = example(made, Draw(0, (64, 96), (seed,)), strength=0.0)
        row, column = np.unravel_index(int(target.argmax()), target.shape)
        assert photo[row, column].min() > 200


def test_source_with_nothing_to_learn_from_is_refused(photo_path):
    with pytest.raises(ValueError, match=r"noise\.png: expected fixations or a teacher"):
        ExampleDataset([source(photo_path)], teacher_weight=0.25)


def test_photo_for_a_guide_alone_has_a_target_of_zeros(photo_path):
    _, target = example(source(photo_path), has_teacher_model=True)
    assert target.shape == (HEIGHT, WIDTH)
    assert not target.any()


@pytest.mark.parametrize("content", [b"no photo", None], ids=["text", "missing"])
def test_photo_that_cannot_be_read_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "broken.jpg").write_bytes(content)
    with pytest.raises(PhotoError, match=r"broken\.jpg"):
        example(source(tmp_path / "broken.jpg", fixations=fixations()))


def test_things_are_on_average_as_large_as_in_whole_photos():
    photo = np.zeros((300, 400, 3), np.uint8)
    fixations = np.array([(190.0, 150.0), (200.0, 150.0), (210.0, 150.0)])
    whole_photo = np.sqrt(384 * 288 / (300 * 400))
    planned = BatchSampler(
        4, batch_size=4, pixels=384 * 288, size_multiple=8, seed=0, last_step=200
    )
    augmentation, enlarged = Augmentation(strength=0.0), []
    for draw in (draw for drawn in planned for draw in drawn):
        varied = augmentation(
            photo, fixations, size=draw.size, generator=np.random.default_rng(draw.seed)
        )
        assert len(varied.fixations) == 3
        enlarged.append(abs(varied.fixations[2, 0] - varied.fixations[0, 0]) / 20 / whole_photo)
    assert np.exp(np.mean(np.log(enlarged))) == pytest.approx(1, abs=0.03)
