/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * store.c - see store.h.
 */
#include "fs/daemon/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/daemon/fail.h"
#include "fs/daemon/logger.h"
#include "fs/daemon/mounts.h"
#include "fs/tree/inosecret.h"

/* How long a daemon that was just unmounted may take to bring everything to disk. */
enum { LOCK_WAIT_MS = 10000 };

/* Damage that is found now will be repaired, not refused.  Set before there are threads. */
static bool recovering;

/* `context`: name of the store that the finding is about; NULL: the store of values. */
static void log_finding(void *context, const struct dw_finding *finding)
{
	const char *place = context;
	char text[512], placed[600];
	bool serious =
		finding->kind != DW_FINDING_TORN_TAIL && finding->kind != DW_FINDING_QUARANTINED &&
		finding->kind != DW_FINDING_SIDECAR && finding->kind != DW_FINDING_LOCAL_LOCKS;

	(void)dw_finding_text(finding, text, sizeof text); /* cut is good enough */
	/* the advice at its end is for a refused user; a key may have the same words */
	char *advice = NULL;
	for (char *at = text; recovering && (at = strstr(at, "; nothing was changed")); at++)
		advice = at;
	if (advice)
		*advice = '\0';
	(void)snprintf(placed, sizeof placed, "'%s': %s", place ? place : "", text);
	logger_log(NULL, serious ? LOG_ERR : LOG_WARNING, place ? placed : text);
}

static struct dw_options store_options(const struct settings *settings)
{
	char *where = mounts_find_store(settings->store_path);
	const struct dw_options options = {
		.read_only = settings->read_only,
		.segment_size = number_or(settings, NUMBER_SEGMENT_SIZE, 0),
		/* a daemon that was just unmounted may still be at work; one that is
		 * mounted will not go away */
		.lock_wait_ms = where ? 0 : LOCK_WAIT_MS,
		.on_finding = log_finding,
	};

	free(where);
	return options;
}

enum { COMPACT_RATE = 64 << 20 }; /* leaves bandwidth of the disk for other programs */

struct dw_maintain_options store_maintenance(const struct settings *settings)
{
	return (struct dw_maintain_options){
		.compact = true,
		/* 0: the library's default */
		.dead_percent = (unsigned)number_or(settings, NUMBER_COMPACT_DEAD, 0),
		.dead_bytes_min = number_or(settings, NUMBER_COMPACT_MIN, 0),
		.compact_rate = number_or(settings, NUMBER_COMPACT_RATE, COMPACT_RATE),
	};
}

bool store_is_maintained(const struct settings *settings)
{
	return !settings->read_only && (!settings->compact || !strcmp(settings->compact, "auto"));
}

static struct volume_options volume_options(const struct settings *settings)
{
	return (struct volume_options){
		.read_only = settings->read_only,
		.flat = settings->flat,
		.uid = (uid_t)number_or(settings, NUMBER_UID, getuid()),
		.gid = (gid_t)number_or(settings, NUMBER_GID, getgid()),
		.fixed_uid = settings->numbers[NUMBER_UID] != NUMBER_UNSET,
		.fixed_gid = settings->numbers[NUMBER_GID] != NUMBER_UNSET,
		.umask = (mode_t)number_or(settings, NUMBER_UMASK, settings->umask),
		.fixed_umask = settings->numbers[NUMBER_UMASK] != NUMBER_UNSET,
		.commit_ms = (unsigned)number_or(settings, NUMBER_COMMIT_MS, 0),
		.dirty_max = number_or(settings, NUMBER_DIRTY_MAX, 0),
		.reserved = settings->control,
		.log = logger_log,
	};
}

/* The same for each volume of the mount.  Set before there are threads. */
static uint8_t ino_secret[INO_SECRET_SIZE];

/* Have it, and say it where numbers are not those of the last mount. */
static void take_ino_secret(const struct settings *settings, struct dw_store *store)
{
	int error = 0;
	enum inosecret_source source =
		inosecret_take(dw_directory_fd(store), !settings->read_only, ino_secret, &error);

	if (source == INOSECRET_READ || (source == INOSECRET_MADE && !dw_count(store)))
		return;
	if (source == INOSECRET_MADE)
		logger_log(NULL, LOG_NOTICE,
			   "'" INOSECRET_NAME "' was not in the store, and was made: inode "
			   "numbers are not those of earlier mounts, once");
	else if (!error)
		logger_log(NULL, LOG_NOTICE,
			   "'" INOSECRET_NAME "' is not in the store, and a mount that only "
			   "reads makes none: inode numbers hold for this mount; one that "
			   "writes makes it");
	else
		logger_printf(LOG_WARNING,
			      "'" INOSECRET_NAME "' in the store cannot be %s (%s): inode numbers "
			      "hold for this mount",
			      settings->read_only ? "read" : "read or made", strerror(error));
}

static int explain_open(const struct settings *settings, int rc)
{
	char *where = rc == -EBUSY ? mounts_find_store(settings->store_path) : NULL;

	if (rc == -ENOMEDIUM)
		(void)fail("no store here: '%s' has other files and no segment; name an empty "
			   "directory, or make a store with 'datawal init'",
			   settings->store);
	else if (rc == -ENOENT)
		(void)fail("no store here: '%s' is empty; 'datawal init' makes one",
			   settings->store);
	else if (where)
		(void)fail("'%s' is mounted at '%s'; use it there, or mount with -o ro",
			   settings->store, where);
	else if (rc == -EROFS)
		(void)fail("'%s' is on a disk that is read only; mount with -o ro",
			   settings->store);
	else if (rc == -EACCES && !settings->read_only)
		(void)fail("'%s' cannot be opened for writing: %s; -o ro needs only to read it",
			   settings->store, strerror(-rc));
	else
		(void)fail("'%s' cannot be opened: %s", settings->store,
			   rc == -EBADMSG ? "it is damaged (see above)" : strerror(-rc));
	free(where);
	return 1;
}

/* --- repair --- */

/* Of the store, or of the place in it that `context` names as messages have it. */
static void log_range(void *context, const struct dw_repair_range *range)
{
	const char *place = context;

	if (range->damage == DW_DAMAGE_SHORTENED || range->damage == DW_DAMAGE_MISSING) {
		logger_printf(LOG_WARNING,
			      "recover: %ssegment %08" PRIu32 ": %" PRIu64
			      " records are gone (%s); the hint that tells of them is now '%s'",
			      place, range->segment, range->records, dw_damage_name(range->damage),
			      range->quarantine ? range->quarantine : "nowhere");
		return;
	}
	logger_printf(LOG_WARNING,
		      "recover: %ssegment %08" PRIu32 ": %" PRIu64
		      " damaged bytes at offset %" PRIu64 " (%s) %s%s%s",
		      place, range->segment, range->size, range->offset,
		      dw_damage_name(range->damage),
		      range->quarantine ? "moved to '" : "taken out, which are zeros alone",
		      range->quarantine ? range->quarantine : "", range->quarantine ? "'" : "");
}

/* The same as `datawal repair`: damaged bytes go to files beside, sound records stay. */
static int repair(const char *path, const char *place, const struct dw_options *options)
{
	struct dw_repair_report report;
	int rc = dw_repair(path, true, options, log_range, (void *)place, &report);

	if (rc < 0)
		logger_printf(LOG_ERR, "recover: %sfailed: %s", place, strerror(-rc));
	else
		logger_printf(LOG_WARNING,
			      "recover: %s%" PRIu64 " ranges of %" PRIu64
			      " bytes taken out of %" PRIu32 " segments; %" PRIu64
			      " sound records, %" PRIu64 " of them from behind damage; %" PRIu64
			      " keys lost their newest record",
			      place, report.ranges, report.bytes_out, report.segments_damaged,
			      report.records, report.records_behind, report.keys_lost);
	return rc;
}

/* The attributes are a store of their own.  Damage that cannot be repaired is reported when it is
 * opened. */
static void repair_attrs(const struct settings *settings, struct dw_store *store)
{
	static char place[] = DW_ATTR_DIRECTORY;
	struct dw_options options = store_options(settings);
	struct dw_store *attrs = NULL;
	char *path = NULL;

	options.read_only = true;
	options.on_finding = log_finding;
	options.context = place;
	int rc = dw_open_in(store, DW_ATTR_DIRECTORY, &options, NULL, &attrs);
	(void)dw_close(attrs); /* a reader has nothing to bring to disk */
	if (rc != -EBADMSG || asprintf(&path, "%s/" DW_ATTR_DIRECTORY, settings->store_path) < 0)
		return;
	options.read_only = false;
	(void)repair(path, "'" DW_ATTR_DIRECTORY "': ", &options); /* it says what fails */
	free(path);
}

/* --- opening --- */

/* `snapshot`: the name of the one that the store is; NULL: it is none. */
static int open_names(const struct settings *settings, struct dw_store *store, const char *snapshot,
		      struct volume **ret)
{
	struct volume_options options = volume_options(settings);

	options.read_only = options.read_only || snapshot;
	options.snapshot = snapshot;
	memcpy(options.ino_secret, ino_secret, sizeof options.ino_secret);
	int rc = volume_open(store, &options, ret);

	if (rc < 0)
		(void)dw_close(store); /* nothing was written */
	return rc;
}

int store_open_volume(const struct settings *settings, struct volume **ret)
{
	const struct dw_options options = store_options(settings);
	struct dw_store *store = NULL;

	recovering = settings->recover;
	int rc = dw_open(settings->store_path, &options, NULL, &store);
	/* only what would be refused is repaired: that reads everything */
	if (rc == -EBADMSG && settings->recover) {
		rc = repair(settings->store_path, "", &options);
		recovering = false;
		if (!rc)
			rc = dw_open(settings->store_path, &options, NULL, &store);
	}
	recovering = settings->recover;
	if (!rc && settings->recover)
		repair_attrs(settings, store);
	recovering = false;
	if (rc < 0)
		return explain_open(settings, rc);
	take_ino_secret(settings, store);
	rc = open_names(settings, store, NULL, ret);
	if (rc < 0)
		return fail("reading the names of '%s': %s", settings->store, strerror(-rc));
	return 0;
}

int store_reopen_volume(void *settings_arg, struct volume **ret)
{
	const struct settings *settings = settings_arg;
	const struct dw_options options = store_options(settings);
	struct dw_store *store = NULL;
	int rc = dw_open(settings->store_path, &options, NULL, &store);

	return rc < 0 ? rc : open_names(settings, store, NULL, ret);
}

int store_open_snapshot(void *settings, int dirfd, const char *name, struct volume **ret)
{
	static char place[] = DW_SNAPSHOT_DIRECTORY;
	const struct dw_options options = {
		.read_only = true,
		.on_finding = log_finding,
		.context = place,
	};
	struct dw_store *store = NULL;
	int rc = dw_snapshot_open(dirfd, name, &options, NULL, &store);

	if (!rc)
		rc = open_names(settings, store, name, ret);
	if (rc < 0 && rc != -ENOENT)
		logger_printf(LOG_ERR, "snapshot '%s' cannot be opened: %s", name,
			      rc == -EBADMSG ? "it is damaged" : strerror(-rc));
	return rc;
}
