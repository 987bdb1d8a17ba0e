"""A page in a frame of a given size, as narrow as no window of the browser is: frame.py PAGE WIDTH HEIGHT"""

import html
import sys

page, width, height = sys.argv[1:]
with open(page, encoding="utf-8") as file:
    inner = html.escape(file.read())
print(f"""<!doctype html><html><body style="margin:0">
<iframe style="width:{width}px;height:{height}px;border:0" srcdoc="{inner}"
    onload="document.body.append(document.importNode(this.contentDocument.getElementById('facts'), true))"></iframe></body></html>""")
