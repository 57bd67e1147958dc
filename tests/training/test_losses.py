import math

import pytest
import torch

from saliency.training.losses import cross_entropy, mixed_target


def random_log_density(batch, height, width, *, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(batch, height * width, generator=generator, dtype=dtype)
    return torch.log_softmax(scores, dim=1).view(batch, height, width)


def test_shares_of_fixations_give_the_mean_negative_log_likelihood():
    density = torch.tensor([[[0.5, 0.25], [0.125, 0.125]]])
    target = torch.tensor([[[2 / 3, 0.0], [0.0, 1 / 3]]])  # two fixations here, one there
    expected = -(2 * math.log(0.5) + math.log(0.125)) / 3
    assert cross_entropy(density.log(), target).item() == pytest.approx(expected)


def test_loss_of_a_teacher_is_its_divergence_plus_its_entropy():
    student = random_log_density(3, 4, 5, seed=0)
    teacher = random_log_density(3, 4, 5, seed=1)
    divergence = torch.nn.functional.kl_div(student, teacher, log_target=True, reduction="none")
    entropy = -(teacher.exp() * teacher).sum(dim=(1, 2))
    expected = divergence.sum(dim=(1, 2)) + entropy
    torch.testing.assert_close(cross_entropy(student, teacher.exp()), expected)


def test_every_image_has_its_own_loss():
    log_density = random_log_density(2, 3, 3, seed=0)
    target = random_log_density(2, 3, 3, seed=1).exp()
    both = cross_entropy(log_density, target)
    alone = cross_entropy(log_density[1:], target[1:])
    assert both.shape == (2,)
    assert both[1].item() == pytest.approx(alone.item(), rel=1e-12)


def test_gradient_equals_finite_differences():
    scores = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = random_log_density(2, 3, 4, seed=1).exp()

    def loss(scores):
        log_density = torch.log_softmax(scores.flatten(1), dim=1).view_as(scores)
        return cross_entropy(log_density, target)

    assert torch.autograd.gradcheck(loss, scores.requires_grad_())


def test_target_of_another_size_is_refused():
    with pytest.raises(
        ValueError, match=r"expected a target of shape \(1, 2, 3\), got \(1, 3, 2\)"
    ):
        # Past the shape checks of jaxtyping, which only the tests switch on.
        cross_entropy.__wrapped__(torch.zeros(1, 2, 3), torch.zeros(1, 3, 2))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_guided_target_is_a_mixture_where_there_is_a_target_and_else_the_guides(share):
    own = random_log_density(2, 3, 4, seed=0).exp()
    own[1] = 0
    teacher_model = random_log_density(2, 3, 4, seed=1)
    mixed = mixed_target(own, teacher_model, share=share)
    torch.testing.assert_close(mixed[0], (1 - share) * own[0] + share * teacher_model[0].exp())
    torch.testing.assert_close(mixed[1], teacher_model[1].exp())
    torch.testing.assert_close(mixed.sum(dim=(1, 2)), torch.ones(2, dtype=torch.float64))
