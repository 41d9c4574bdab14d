"""Controllers by hand: trajectories, ranges, memory; shares; staircases."""

from __future__ import annotations

import math

import pytest
import torch

from vaekit.controllers import Borrowed, Controller, Shares, share
from vaekit.schedules import Linear, Stairs, value_of

KP, KI = 0.01, 0.001


def heard(controller, *values):
    """The weights after each of these values of its term."""
    found = []
    for value in values:
        controller.hear({controller.hears[0]: torch.tensor(value, dtype=torch.float64)})
        found.append(float(controller()))
    return found


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("error", [-3.0, -0.4, -20.0])
def test_a_constant_error_raises_the_weight_in_a_line(error):
    controller = Controller("rate", 4.0, kp=KP, ki=KI, low=1.0)
    assert float(controller()) == 1.0
    for t, weight in enumerate(heard(controller, *[4.0 - error] * 50), 1):
        assert abs(weight - 1 - KP * sigmoid(-error) + KI * error * t) < 1e-12


def test_a_constant_error_lowers_the_weight_until_it_leaves_its_range():
    controller = Controller("rate", 4.0, kp=0.1, ki=KI, low=0.0, high=1.0)
    expected = [max(0.0, 0.1 * sigmoid(-1.0) - KI * t) for t in range(1, 60)]
    assert heard(controller, *[3.0] * 59) == pytest.approx(expected, abs=1e-12)
    assert expected[20] > 0.0 == expected[-1]


def test_no_error_is_half_of_kp():
    controller = Controller("rate", 4.0, kp=KP, ki=KI, low=1.0)
    assert heard(controller, 4.0, 4.0) == pytest.approx([1 + KP / 2] * 2, abs=1e-15)
    before = heard(controller, 7.0)[0] - 1 - KP * sigmoid(3.0)  # the integral
    assert heard(controller, 4.0)[0] == pytest.approx(1 + KP / 2 + before, abs=1e-15)


def test_without_gains_nothing_moves():
    controller = Controller("rate", 4.0, kp=0.0, ki=0.0, low=2.5)
    assert heard(controller, 0.0, 100.0, 4.0) == [2.5] * 3


def test_gains_and_set_point_matter():
    base = {"kp": KP, "ki": KI, "low": 0.0}
    first = heard(Controller("rate", 4.0, **base), 5.0, 6.0)
    for changes in (
        {"kp": 0.02},
        {"ki": 0.01},
        {"low": 0.1},
        {"high": 0.005},
        {"stateful": False},
        {"sign": -1},
    ):
        assert heard(Controller("rate", 4.0, **base | changes), 5.0, 6.0)[-1] != first[-1], changes
    assert heard(Controller("rate", 4.1, **base), 5.0, 6.0) != first


def test_large_errors_count_as_fifty():
    low, high = (Controller("rate", 0.0, kp=KP, ki=KI, low=0.0) for _ in range(2))
    assert heard(low, 50.0) == heard(high, 1e30) == pytest.approx([KP + 50 * KI])
    far = Controller("rate", 1e6, kp=KP, ki=KI, low=0.0)
    heard(far, 0.0)
    assert float(far.integral) == pytest.approx(-50 * KI)


def test_the_integral_waits_where_it_would_leave_the_range():
    """Below the range it stands still, and turns with the error; above it likewise."""
    controller = Controller("rate", 10.0, kp=KP, ki=KI, low=0.0, high=1.0)
    heard(controller, *[0.0] * 100)
    assert float(controller.integral) == pytest.approx(-10 * KI)  # one step took it out, and no more
    weights = heard(controller, *[12.0] * 10)
    assert float(controller.integral) == pytest.approx(-10 * KI + 10 * 2 * KI)
    assert weights[-1] > 0
    top = Controller("rate", 0.0, kp=KP, ki=0.3, low=0.0, high=1.0)
    assert heard(top, *[1.0] * 20)[-1] == 1.0
    assert float(top.integral) == pytest.approx(1.2)
    assert heard(top, -1.0, -1.0)[-1] < 1.0


def test_an_integral_that_stops_for_good_would_never_come_back():
    """The rule of the authors' programs, by hand: the set point is far above the first rate."""
    integral = previous = 0.0
    for rate in [0.0] * 5 + [20.0] * 1000:
        error = 16.0 - rate
        if previous >= 0:
            integral -= KI * error
        previous = KP * sigmoid(-error) + integral
    assert previous < 0  # a thousand steps above the set point, and no weight
    controller = Controller("rate", 16.0, kp=KP, ki=KI, low=0.0)
    assert heard(controller, *[0.0] * 5, *[20.0] * 1000)[-1] == pytest.approx(
        -0.016 + 4.0 + KP * sigmoid(4.0)
    )


def test_without_memory():
    """The triple of GCVAE's example notebook: alpha, beta and gamma of one step, whatever came before."""
    settings = {"kp": 0.1, "ki": 1e-4, "stateful": False}
    alpha = Controller("distortion", 10.0, high=1.0, **settings)
    beta = Controller("rate", 30.0, high=1.0, **settings)
    gamma = Controller("correlation", 0.1, low=1.0, **settings)
    for controller in (alpha, beta, gamma):
        heard(controller, 500.0, 0.0, 31.0)
    triple = heard(alpha, 28.603) + heard(beta, 12.888) + heard(gamma, 0.167)
    assert triple == pytest.approx([0.10186, 0.0, 1.05168], abs=5e-6)
    assert float(alpha.integral) == 0
    remembering = Controller("distortion", 10.0, kp=0.1, ki=1e-4, high=1.0)
    assert heard(remembering, 500.0, 28.603)[-1] > triple[0] + 1e-3


def test_the_sign_turns_the_error_around():
    turned = Controller("distortion", 10.0, kp=0.1, ki=0.01, sign=-1)
    assert heard(turned, 8.0)[0] == pytest.approx(0.1 * sigmoid(2.0) + 0.02)
    assert heard(turned, 11.0)[0] == pytest.approx(0.1 * sigmoid(-1.0) + 0.02 - 0.01)
    assert heard(turned, *[14.0] * 5)[-1] == 0.0


def test_what_it_knows_is_saved():
    values = [0.3, 5.0, 9.0, 2.0, 7.0, 1.0, 0.2]

    def made():
        return Controller("rate", Stairs(0.5, 4.0, 0.5, 2), kp=KP, ki=0.2, low=1.0)

    def step(controller, value):
        weight = heard(controller, value)[0]
        controller.target.after_step()
        return weight

    whole, first, second = made(), made(), made()
    expected = [step(whole, value) for value in values]
    found = [step(first, value) for value in values[:3]]
    state = first.state_dict()
    assert set(state) == {"integral", "unheld", "target.step"}
    second.load_state_dict(state)
    assert found + [step(second, value) for value in values[3:]] == expected
    forgetful = made()
    assert [step(forgetful, value) for value in values[3:]] != expected[3:]


def test_the_set_point_may_move():
    controller = Controller("rate", Linear(0.0, 4.0, 4), kp=0.0, ki=1.0, low=0.0)
    errors = []
    for _ in range(6):
        before = float(controller.integral)
        heard(controller, 5.0)
        errors.append(before - float(controller.integral))
        controller.target.after_step()
    assert errors == pytest.approx([min(4.0, step) - 5.0 for step in range(6)])


def test_a_staircase():
    stairs = Stairs(0.5, 16.0, 0.15, 5000)
    assert stairs.length == 520_000
    steps = torch.tensor([0.0, 4999.0, 5000.0, 514_999.0, 515_000.0, 519_999.0, 520_000.0])
    expected = [0.5, 0.5, 0.65, 0.5 + 0.15 * 102, 0.5 + 0.15 * 103, 0.5 + 0.15 * 103, 16.0]
    assert stairs.at(steps).tolist() == pytest.approx(expected, abs=1e-4)
    assert float(stairs.at(torch.tensor(519_999.0))) < 16.0
    assert Stairs(2.0, 2.0, 0.1, 3).length == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Stairs(2.0, 1.0, 0.1, 3),
        lambda: Stairs(0.0, 1.0, 0.0, 3),
        lambda: Stairs(0.0, 1.0, 0.1, 0),
        lambda: Controller("rate", math.nan, kp=KP, ki=KI),
        lambda: Controller("rate", 1.0, kp=-KP, ki=KI),
        lambda: Controller("rate", 1.0, kp=KP, ki=-KI),
        lambda: Controller("rate", 1.0, kp=KP, ki=KI, low=1.0, high=1.0),
        lambda: Controller("rate", 1.0, kp=KP, ki=KI, sign=0),
        lambda: share(0.6, 0.4),
        lambda: share(0.99, Linear(0.0, 1.0, 3)),
    ],
)
def test_refusals(make):
    with pytest.raises(ValueError, match="expected"):
        make()


# -- shares --------------------------------------------------------------------------------------------


def constant(value):
    return Linear(value, value, 1)


@pytest.mark.parametrize(
    ("alpha", "beta", "expected"),
    [
        (0.2, 0.3, (0.2, 0.3, 0.5)),
        (0.0, 0.0, (0.0, 0.0, 1.0)),
        (1.0, 1.0, (0.495, 0.495, 0.01)),
        (0.3, 0.9, (0.2475, 0.7425, 0.01)),
        (-1.0, 1.0, (-1.0, 1.0, 1.0)),
    ],
)
def test_two_weights_that_change_keep_their_ratio(alpha, beta, expected):
    shares = Shares(constant(alpha), constant(beta))
    found = (float(shares.first()), float(shares.second()), float(shares()))
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.9), (0.0, 1.0), (-1.0, 1.0), (0.3, 0.2)])
def test_a_number_stays_what_it_is(alpha, beta):
    rest, second = share(alpha, constant(beta))
    kept = min(beta, 0.99 - alpha)
    assert float(value_of(second)) == pytest.approx(kept, abs=1e-12)
    assert float(value_of(rest)) == pytest.approx(1 - alpha - kept, abs=1e-12)
    rest, second = share(constant(beta), alpha)
    assert second == alpha
    assert float(value_of(rest)) == pytest.approx(1 - alpha - kept, abs=1e-12)


def test_numbers_stay_numbers():
    assert share(-4.0, 4.0) == (1.0, 4.0)
    assert share(0.2, 0.3) == (0.5, 0.3)


def test_what_is_borrowed_is_saved_once():
    rest, second = share(constant(0.2), constant(0.3))
    assert isinstance(second, Borrowed)
    assert list(second.state_dict()) == []
    assert len(rest.state_dict()) == 2
