# The original implementation as an oracle. None of these targets is part of `make check` or `make demo`.
#   make reference         sets up reference/.venv (PIP_ARGS=… for pip; CONFIRM=1 to fetch GPU packages as well)
#   make check-reference   the goldens in the tree are what the original computes, bit for bit
#   make goldens           writes them again
#   make demo-checkpoint   trains the demo checkpoint again and writes its goldens
PYTHON := reference/.venv/bin/python

.PHONY: reference check-reference goldens demo-checkpoint

reference: ## set up the original implementation in reference/.venv
	@tools/reference_venv

check-reference: reference deps ## check the goldens of the tree against the original
	@$(MAKE) --no-print-directory all
	@$(PYTHON) reference/check.py
	@$(PYTHON) reference/media_images.py --check

goldens: reference ## write them again
	$(PYTHON) reference/front.py
	$(PYTHON) reference/front_formulas.py
	$(PYTHON) reference/tiny.py
	$(PYTHON) reference/positions.py
	$(PYTHON) reference/decoders.py
	$(PYTHON) reference/scores.py
	$(PYTHON) reference/vision_tower.py
	$(PYTHON) reference/audio_tower.py
	$(PYTHON) reference/code2wav.py
	$(PYTHON) reference/long_speech.py
	$(PYTHON) reference/topk.py
	$(PYTHON) reference/unicode_tables.py
	$(PYTHON) reference/demo_goldens.py
	$(PYTHON) reference/mutations.py
	$(PYTHON) reference/media_mutations.py
	$(PYTHON) reference/speech_mutations.py
	$(PYTHON) reference/known_answers.py

demo-checkpoint: reference ## train the demo checkpoint again, with its goldens
	$(PYTHON) reference/train_demo.py --out build/demo-text
	$(PYTHON) reference/train_demo.py --from build/demo-text --senses 320 --out build/demo-senses
	$(PYTHON) reference/train_demo.py --from build/demo-senses --polish 130 --out build/demo-mute
	$(PYTHON) reference/train_voice.py --from build/demo-mute --speech 3000 --out build/demo-speech
	$(PYTHON) reference/train_voice.py --from build/demo-speech --media 1000 --out build/demo-media
	$(PYTHON) reference/train_voice.py --from build/demo-media --sound 10000
	$(PYTHON) reference/demo_goldens.py
	$(PYTHON) reference/mutations.py
	$(PYTHON) reference/known_answers.py
