/* Tessera: Qwen3-Omni whole, in small memory, and proof that it is the same model.
 *
 * This header gathers the public interface; each part explains itself.
 */
#ifndef TESSERA_H
#define TESSERA_H

#include "tessera/certificate.h"
#include "tessera/chat.h"
#include "tessera/compare.h"
#include "tessera/dialog.h"
#include "tessera/direct.h"
#include "tessera/engine.h"
#include "tessera/error.h"
#include "tessera/features.h"
#include "tessera/known_answers.h"
#include "tessera/ledger.h"
#include "tessera/media.h"
#include "tessera/pack.h"
#include "tessera/progress.h"
#include "tessera/sound.h"
#include "tessera/speech.h"
#include "tessera/tokenizer.h"
#include "tessera/trace.h"
#include "tessera/verify.h"

#endif
