# make golden MODEL=DIR PROMPT=TEXT OUT=FILE: what the original computes, in small memory; `make golden` alone says more.
# The arguments reach tools/golden by its environment as they were given: $(value) keeps make from expanding a prompt's
# dollars, and unexport keeps it from expanding them for other recipes.
GOLDEN_ARGUMENTS := MODEL PROMPT MESSAGES INPUTS AUDIO IMAGE VIDEO FPS AUDIO_IN_VIDEO OUT RAW DTYPE GENERATE SPEAK SPEAKER EXPERTS \
    THREADS MEMORY HASH
unexport PROMPT MESSAGES
define pass_argument
golden: export GOLDEN_$(1) = $$(value $(1))
endef
$(foreach name,$(GOLDEN_ARGUMENTS),$(eval $(call pass_argument,$(name))))

.PHONY: golden
golden: ## run the original: MODEL=DIR PROMPT=TEXT OUT=FILE
	@$(foreach name,$(GOLDEN_ARGUMENTS),$(name)="$$GOLDEN_$(name)") tools/golden
