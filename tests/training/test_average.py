import torch

from pipeline.training.average import Average


def parameters(value=1.0):
    return [torch.nn.Parameter(torch.full((3,), value)), torch.nn.Parameter(torch.full((2, 2), value))]


def test_it_is_the_exponential_mean_with_a_rising_decay():
    own = parameters(0.0)
    average = Average(own, decay=0.9, step=0)
    wanted = 0.0
    for step in range(40):
        for one in own:
            one.data.fill_(float(step))
        average.update()
        decay = 0.0 if step == 0 else min(0.9, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * step
    with average.applied():
        assert all(torch.allclose(one, torch.tensor(wanted)) for one in own)


def test_own_weights_come_back_bit_for_bit_also_after_an_error():
    own = parameters(0.1)
    average = Average(own, decay=0.5, step=100)
    for one in own:
        one.data.fill_(1 / 3)
    average.update()
    before = [one.detach().clone() for one in own]
    try:
        with average.applied():
            assert not torch.equal(own[0], before[0])
            raise RuntimeError
    except RuntimeError:
        pass
    assert all(torch.equal(one, two) for one, two in zip(own, before, strict=True))
    average.apply()
    assert not torch.equal(own[0], before[0])


def test_it_goes_on_with_the_decay_of_its_step():
    averages = []
    for begun in (0, 30):
        own = parameters(0.0)
        average = Average(own, decay=0.99, step=begun)
        for one in own:
            one.data.fill_(1.0)
        average.update()
        with average.applied():
            averages.append(float(own[0][0].detach()))
    assert averages[0] == 1.0
    assert round(averages[1], 6) == round(1 - 31 / 40, 6)


def test_without_decay_there_is_none():
    own = parameters(2.0)
    average = Average(own, decay=0.0, step=0)
    assert not average
    own[0].data.fill_(7.0)
    average.update()
    with average.applied():
        assert float(own[0][0].detach()) == 7.0
    average.apply()
    assert float(own[0][0].detach()) == 7.0
