"""Learning curves: what was not measured is not drawn, and a collapse is marked where it lies."""

from __future__ import annotations

from sorby.report import figures


def epochs(**series: list[float]) -> list[dict[str, float | None]]:
    """A history from its columns."""
    length = len(next(iter(series.values())))
    return [{"epoch": float(k), **{key: values[k] for key, values in series.items()}} for k in range(length)]


def test_a_collapse_is_shaded_and_said() -> None:
    history = epochs(train_loss=[0.5] * 20, val_loss=[0.4] * 20, val_accuracy=[0.9] * 10 + [0.6] * 10)
    for recovered in (None, 15):
        svg = figures.learning(history, 3, collapse={"epoch": 10, "recovered": recovered})
        assert "collapse" in svg
        assert "The accuracy fell at epoch 11." in svg
    assert "collapse" not in figures.learning(history, 3)


def test_without_validation_images_there_is_no_panel_of_scores() -> None:
    svg = figures.learning(epochs(train_loss=[0.5, 0.4, 0.3]), 2)
    assert "training loss" in svg
    assert "validation" not in svg
    assert "accuracy" not in svg


def test_scores_of_the_training_images_are_drawn_where_they_were_measured() -> None:
    svg = figures.learning(epochs(train_loss=[0.5, 0.4], train_accuracy=[0.7, 0.9]), 1)
    assert "training accuracy" in svg
