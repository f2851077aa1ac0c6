import pytest

from videojob_local.node.expansion import expand


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(NAME)", "cat"),
        ("a $(NAME) and $(OTHER)", "a cat and dog"),
        ("$$(NAME)", "$(NAME)"),
        ("$$$(NAME)", "$cat"),
        ("$(MISSING)", "$(MISSING)"),
        ("$NAME ${NAME} $(NA ME) $(", "$NAME ${NAME} $(NA ME) $("),
        ("$$", "$"),
        ("$(a.b-c)", "dotted"),
    ],
)
def test_references_are_replaced_as_the_kubelet_does(text: str, expanded: str) -> None:
    assert expand(text, {"NAME": "cat", "OTHER": "dog", "a.b-c": "dotted"}) == expanded


def test_a_value_is_not_expanded_a_second_time() -> None:
    assert expand("$(A)", {"A": "$(B)", "B": "no"}) == "$(B)"
