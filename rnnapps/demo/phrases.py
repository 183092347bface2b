"""What the page says, in the languages that it speaks: the browser's, or English."""

from typing import Any

import gradio as gr

_PHRASES = {
    "title": ("Models to try", "模型试用"),
    "about": (
        "Everything is computed on this machine, by the exported model.",
        "一切均由导出的模型在本机计算。",
    ),
    "text": ("Text", "文本"),
    "examples": ("Examples", "示例"),
    "classify": ("Classify", "分类"),
    "classes": ("Classes", "类别"),
    "words": ("What each word adds", "每个词的作用"),
    "words_about": (
        "Blue words speak for the class, orange ones against it: by how much its probability falls "
        "without the word.",
        "蓝色的词支持该类别，橙色的词反对：即去掉该词后概率下降多少。",
    ),
    "words_limit": ("Only the first words are looked at: ", "仅分析前若干个词："),
    "table": ("A table of texts", "文本表格"),
    "table_about": ("CSV, TSV, JSONL, Parquet or text", "CSV、TSV、JSONL、Parquet 或纯文本"),
    "answer_table": ("Answer the table", "处理表格"),
    "answers": ("Answers", "结果"),
    "tag": ("Find spans", "标注"),
    "spans": ("Spans", "标注结果"),
    "none_found": ("Nothing was found.", "未找到。"),
    "prompt": ("Beginning", "开头"),
    "write": ("Write", "续写"),
    "stop": ("Stop", "停止"),
    "length": ("Length", "长度"),
    "temperature": ("Temperature", "温度"),
    "top_k": ("Top-k (0: all)", "Top-k（0 为全部）"),
    "top_p": ("Top-p", "Top-p"),
    "seed": ("Seed", "随机种子"),
    "written": ("Text, coloured by surprise", "文本（按意外程度着色）"),
    "written_about": (
        "The deeper a colour, the less the character was expected; point at it for its bits.",
        "颜色越深，越出人意料；指向字符可见其比特数。",
    ),
    "translate": ("Translate", "翻译"),
    "translation": ("Translation", "译文"),
    "translation_about": (
        "The fainter a word, the fewer of the alternatives, by their probabilities, have it.",
        "颜色越浅的词，在各候选译文中（按概率加权）出现得越少。",
    ),
    "n_best": ("Alternatives", "候选译文"),
    "alignment": ("Alignment", "对齐"),
    "share": ("share", "占比"),
    "file": ("Your own table (or else the run's data)", "自己的表格（否则用训练数据）"),
    "column": ("Column", "列"),
    "series": ("Series", "序列"),
    "back": ("Steps before the end to forecast from", "从末尾前多少步开始预测"),
    "forecast": ("Forecast", "预测"),
    "chart": ("Chart", "图"),
    "download": ("Forecast as CSV", "预测结果 CSV"),
    "baselines": ("Show baselines", "显示基线"),
}

_PREFIX = "rnnapps_"  # Gradio translates whatever is called as a phrase is, a tab's name too


def _of(language: int) -> dict[str, str]:
    texts = {_PREFIX + key: pair[language] for key, pair in _PHRASES.items()}
    return texts | {f"{key}_heading": f"## {text}" for key, text in texts.items()}


I18N = gr.I18n(en=_of(0), **{tag: _of(1) for tag in ("zh", "zh-CN", "zh-TW")})


def phrase(key: str) -> Any:
    """A phrase for a label, which the browser puts into its language.

    Args:
        key: The phrase's name.
    """
    return I18N(_PREFIX + key)


def heading(key: str) -> gr.Markdown:
    """Puts a heading onto the page.

    Args:
        key: The phrase's name.
    """
    return gr.Markdown(I18N(f"{_PREFIX}{key}_heading"))


def in_language(key: str, request: gr.Request | None) -> str:
    """A phrase for an answer, in the language of the browser that asks.

    Args:
        key: The phrase's name.
        request: The browser's request.
    """
    languages = (request.headers.get("accept-language", "") if request else "").lower()
    return _PHRASES[key][languages.startswith("zh")]
