/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * finding.c - what the library found, told: a line on standard error, and for the commands
 * that look for damage, with --json, an object of its own.
 */
#include "tools/cli/tool.h"

static const char *left_name(enum dw_left left)
{
	switch (left) {
	case DW_LEFT_NOTHING: return "nothing";
	case DW_LEFT_EMPTY: return "empty";
	case DW_LEFT_OLDER: return "older";
	case DW_LEFT_UNDELETED: return "undeleted";
	case DW_LEFT_UNKNOWN: break;
	}
	return NULL;
}

void json_key(struct dw_bytes key)
{
	if (key.data)
		json_base64("key_base64", key);
	else
		json_text("key_base64", NULL);
}

static void json_finding(const struct dw_finding *finding)
{
	bool lost = finding->kind == DW_FINDING_LOST;

	json_begin(lost ? "lost" : "damage");
	json_u64("segment", finding->segment);
	json_u64("offset", finding->offset);
	if (lost) {
		json_text("left", left_name(finding->left));
		json_u64("value_len", finding->size);
	} else {
		json_text("reason", dw_damage_name(finding->damage));
		json_u64("records", finding->records_lost);
	}
	json_key(finding->key);
	if (!lost)
		json_text("file", finding->name);
	json_end();
}

void print_finding(void *context, const struct dw_finding *finding)
{
	struct args *args = context;
	char text[512];

	if (finding->kind == DW_FINDING_LOCKED) {
		/* explain_open() knows more to say */
		args->locked_by = finding->host ? finding->pid : 0;
		(void)snprintf(args->locked_host, sizeof args->locked_host, "%s",
			       finding->host ? finding->host : ""); /* cut is good enough */
		return;
	}
	(void)dw_finding_text(finding, text, sizeof text); /* cut is good enough */
	(void)fail(args, 0, "%s", text);
	if (args->json && args->tells_damage &&
	    (finding->kind == DW_FINDING_DAMAGE || finding->kind == DW_FINDING_LOST))
		json_finding(finding);
}
