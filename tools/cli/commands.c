/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * commands.c - the table of commands: arguments and help of each.
 */
#include "tools/cli/tool.h"

#define KEY_USAGE "--key TEXT|--key-base64 B|--key-hex H"
#define UNMOUNT   "unmount it first: fusermount3 -u '%s'"

const struct command commands[] = {
	{"init", run_init, 0, 1, 1, "STORE [options]", "make an empty store",
	 "Make the directory STORE, with mode 0700, and an empty store in it; its parent must be\n"
	 "there.  A directory that is there must be empty, but for 'lost+found'.",
	 "datawal init store", NULL},
	{"scan", run_scan, TAKES_LIMIT | TAKES_FROM | TAKES_BYTES, 1, 1, "STORE [options]",
	 "show every record of the log",
	 "Show every record of the log, oldest first: where it stands, key and payload.",
	 "datawal scan --limit 10 store", NULL},
	{"get", run_get, TAKES_KEY | TAKES_BYTES, 1, 1, "STORE " KEY_USAGE " [options]",
	 "print the value of a key",
	 "Print the newest value of a key.  Into a pipe or a file it goes whole and as it is; on\n"
	 "a terminal it is cut at 64 bytes, which '...' marks, and bytes that are not printable\n"
	 "are not shown.  Exit status 2: there is no such key.",
	 "datawal get store --key users/42 > value", NULL},
	{"ls", run_ls, TAKES_BYTES, 1, 2, "STORE [PREFIX] [options]", "list the keys",
	 "List the live keys in byte order, those that begin with PREFIX if it is given: size of\n"
	 "the value, time, key.",
	 "datawal ls store users/", NULL},
	{"stats", run_stats, 0, 1, 1, "STORE [options]", "show where the bytes are",
	 "Show live and dead bytes of each segment, how large keys and values are, and what a\n"
	 "compaction would free.",
	 "datawal stats store", NULL},
	{"report", run_report, 0, 1, 1, "STORE [options]", "say what opening the store would find",
	 "Replay the log and say what opening the store finds, up to the first damage.",
	 "datawal --json report store", NULL},
	{"verify", run_verify, 0, 1, 1, "STORE [options]", "check every record of the log",
	 "Read the whole log and check every record, also behind damage.",
	 "datawal verify store && echo sound", NULL},
	{"check", run_check, 0, 1, 1, "STORE [options]", "read every live value",
	 "Open the store and read the value of every live key, each checked against its CRC.",
	 "datawal check store", NULL},
	{"dump", run_dump, TAKES_LIMIT | TAKES_BYTES, 1, 1, "STORE [options]",
	 "show the records without their payloads",
	 "Show the header and key of every record of the log.", "datawal dump --limit 10 store",
	 NULL},
	{"export", run_export, TAKES_FORCE, 2, 2, "STORE FILE [options]",
	 "write the live view as JSON lines",
	 "Write all live keys and values to FILE as JSON lines, in base64, in byte order of the\n"
	 "keys.  FILE appears whole or not at all, with mode 0600, and must not be there yet;\n"
	 "directories above it are made.  '-' is stdout.",
	 "datawal export store backup.jsonl", NULL},
	{"import", run_import, 0, 2, 2, "STORE FILE [options]", "put what 'export' wrote",
	 "Put every key and value of FILE, as 'export' wrote it, into the store, which is made if\n"
	 "it is missing.  '-' is stdin.",
	 "datawal export old - | datawal import new -",
	 "unmount it first (fusermount3 -u '%s'), or write the files at '%s'"},
	{"apply", run_apply, 0, 1, 2, "STORE [FILE] [options]", "carry out operations from a file",
	 "Carry out the operations of FILE (stdin if none is given), a JSON object a line: \"op\"\n"
	 "is put, delete, raw, rotate or sync; \"key_b64\" and \"value_b64\" are in base64, and a\n"
	 "missing key is the empty one.  At a line that is wrong it stops, names it, and has\n"
	 "applied those before.  The store is made if it is missing.",
	 "echo '{\"op\":\"put\",\"key_b64\":\"YQ==\",\"value_b64\":\"MQ==\"}' | datawal apply "
	 "store",
	 "unmount it first (fusermount3 -u '%s'), or write and remove files at '%s'"},
	{"put", run_put, TAKES_KEY | TAKES_VALUE, 1, 2, "STORE " KEY_USAGE " [VALUE] [options]",
	 "set a key",
	 "Set a key to VALUE, or to what --value-base64 or --file give, or else to what stdin\n"
	 "holds.  It is on the disk when the command ends.  The store is made if it is missing.",
	 "datawal put store --key users/42 --file ada.json",
	 "write the file of that key there: cp FILE '%s/KEY'"},
	{"delete", run_delete, TAKES_KEY, 1, 1, "STORE " KEY_USAGE " [options]", "remove a key",
	 "Remove a key.  Exit status 2: there is no such key; then nothing is written.",
	 "datawal delete store --key users/42", "remove the file of that key there: rm '%s/KEY'"},
	{"rotate", run_rotate, 0, 1, 1, "STORE [options]", "begin a new segment",
	 "Seal the last segment and begin a new one.", "datawal rotate store",
	 "do it there: echo rotate > '%s/.datawal/control'"},
	{"compact", run_compact, TAKES_COMPACT | TAKES_FORCE, 1, 2, "STORE [TARGET] [options]",
	 "drop what is overwritten or deleted",
	 "Without TARGET: rewrite the log in place without what is overwritten or deleted.  Every\n"
	 "state in between is a correct store.  With too little room for that, as much of it is\n"
	 "done as there is room for.  --dead rewrites the longest run of oldest segments of which\n"
	 "so many percent are dead, and of the last of them, too.  With TARGET: leave STORE alone\n"
	 "and write its live view to a fresh store there, keys in byte order, txids from 1; the\n"
	 "directory must be missing or empty.",
	 "datawal compact store", "do it there: echo compact > '%s/.datawal/control'"},
	{"snapshot", run_snapshot, TAKES_SNAPSHOT, 1, 2, "STORE [NAME] [options]",
	 "make a snapshot, or remove one",
	 "Make a snapshot of the store in STORE/.snapshots/NAME, a directory of hard links that is "
	 "a\n"
	 "store itself, never changes, and takes no room of its own until the store drops what is\n"
	 "in it.  Without NAME it is called by --prefix and the time.  What is removed is only "
	 "the\n"
	 "snapshot.  Exit status 2: there is none to remove.",
	 "datawal snapshot store --prefix hourly- --keep 24",
	 "do it there: mkdir '%s/.datawal/snapshots/NAME'"},
	{"snapshots", run_snapshots, 0, 1, 1, "STORE [options]", "list the snapshots",
	 "List the snapshots of the store, the oldest first: when they were made, how much log is "
	 "in\n"
	 "them, how much of that takes room on the disk for them alone, the last txid, the name.",
	 "datawal snapshots store", NULL},
	{"repair", run_repair, TAKES_YES, 1, 1, "STORE [options]",
	 "take damaged bytes out of the log",
	 "Say which bytes of the log are no records, and how many whole records come back that\n"
	 "stand behind them in their segment.  With --yes: do it.  What is taken out goes to\n"
	 "files NNNNNNNN.dwal.torn-TIME in the store; nothing is deleted.  Exit status 2: there\n"
	 "is damage, and --yes was not given.",
	 "datawal repair store", UNMOUNT},
	{"send", run_send, TAKES_SEND, 1, 1, "STORE [options]",
	 "write the store as a stream, for 'receive'",
	 "Write the store to stdout as a stream, of which 'datawal receive' makes a replica: all\n"
	 "of it, or what comes behind --since.  The writer goes on.  What is sent was brought to\n"
	 "disk before.  With --since - stdin must hold what 'datawal receive --have' prints;\n"
	 "then what a compaction did meanwhile is sent as well.",
	 "datawal send store --follow | ssh b datawal receive store", NULL},
	{"receive", run_receive, TAKES_HAVE, 1, 1, "DIR [options]",
	 "make a replica of what 'send' wrote",
	 "Make a replica in DIR of the stream on stdin, or bring it up to date.  It is a store\n"
	 "at every instant, byte for byte the sender's up to a position, and is locked\n"
	 "meanwhile; readers may have it open.  A stream that does not go on where DIR ends, or\n"
	 "is of another history, is refused, with the position to send from.  Exit status 2:\n"
	 "the stream broke off; nothing is lost.",
	 "datawal receive --have copy | datawal send store --since - | datawal receive copy",
	 UNMOUNT},
	{"watch", run_watch, TAKES_WATCH | TAKES_BYTES, 1, 2, "STORE [PREFIX] [options]",
	 "tell changes as they happen",
	 "Tell each change of a key, or of those that begin with PREFIX, as it happens, until a\n"
	 "signal comes: time, txid, what was done, size, key.  --since goes on behind a position\n"
	 "that was told; where a compaction dropped changes behind it, or a power cut took back\n"
	 "what was told, that is told, and then all keys that there are.",
	 "datawal watch store users/ --json", NULL},
	{NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
