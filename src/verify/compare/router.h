/* Comparing a router's choice with the reference's, one token at a time.
 *
 * Chosen experts are compared as sets. Two experts whose float32 probabilities differ by less than 4 ulp are
 * a tie: where the reference chose one and the value the other, that is reported as a tie and not as a
 * difference. The probabilities are the reference's own, from its logits; without them nothing is a tie.
 */
#ifndef TESS_VERIFY_COMPARE_ROUTER_H
#define TESS_VERIFY_COMPARE_ROUTER_H

#include <stdint.h>

/* Experts chosen per token at most; far above any configuration. */
enum { TESS_ROUTER_MAX_CHOSEN = 256 };

typedef enum tess_routing { TESS_ROUTING_SAME, TESS_ROUTING_TIE, TESS_ROUTING_DIFFERENT } tess_routing;

/* value, reference: n_chosen expert ids each. logits: the reference's, [n_expert], or NULL.
 * partner (may be NULL): [n_chosen], for every rank of the reference the rank of the value that holds the
 * same expert, or its tie partner, or -1. */
tess_routing tess_router_compare(const int64_t *value, const int64_t *reference, int n_chosen,
                                 const float *logits, int n_expert, int *partner);

#endif
