/*-------------------------------------------------------------------------
 *
 * portals.c
 *	  Hiding the open cursors of a session, dropping later ones, and finding those
 *	  that a commit would run.
 *
 * Code that knows a portal's name can fetch from it, move and close it, and
 * names such as "<unnamed portal 1>" are easily guessed.  With an active portal
 * none of this is possible, so a hidden portal is marked as active.  The end of
 * a subtransaction leaves it alone, since the portal was not used in it.  WHERE
 * CURRENT OF looks only at the strategy.  Languages pin and unpin a portal
 * before they fail to use it, so the pin is restored, too: without it, a loop
 * over the portal would access freed memory.
 *
 * IDENTIFICATION
 *	  src/base/portals.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/portals.h"

#include "executor/executor.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/portal.h"
#include "utils/tuplestore.h"

/* A portal as it was before it was hidden. */
typedef struct HiddenPortal
{
	Portal		portal;
	PortalStatus status;
	PortalStrategy strategy;
	bool		pinned;
} HiddenPortal;

/* The function behind pg_cursors: the server has no other list of portals. */
static void
read_cursors(ReturnSetInfo *rsinfo)
{
	LOCAL_FCINFO(fcinfo, 0);
	FmgrInfo	flinfo;

	memset(rsinfo, 0, sizeof(*rsinfo));
	rsinfo->type = T_ReturnSetInfo;
	rsinfo->econtext = CreateStandaloneExprContext();
	rsinfo->allowedModes = SFRM_Materialize;
	rsinfo->returnMode = SFRM_ValuePerCall;
	fmgr_info(F_PG_CURSOR, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 0, InvalidOid, NULL,
							 (Node *) rsinfo);
	(void) pg_cursor(fcinfo);
}

/* The portals that could be used now, as a list in the current context. */
static List *
usable_portals(void)
{
	ReturnSetInfo rsinfo;
	TupleTableSlot *slot;
	List	   *result = NIL;

	read_cursors(&rsinfo);
	slot = MakeSingleTupleTableSlot(rsinfo.setDesc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(rsinfo.setResult, true, false, slot))
	{
		bool		isnull;
		Datum		name = slot_getattr(slot, 1, &isnull);
		Portal		portal = GetPortalByName(TextDatumGetCString(name));

		if (PortalIsValid(portal) && portal->status == PORTAL_READY)
			result = lappend(result, portal);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(rsinfo.setResult);
	FreeExprContext(rsinfo.econtext, true);
	return result;
}

List *
jobq_portals_hide(void)
{
	List	   *portals = usable_portals();
	ListCell   *lc;

	foreach(lc, portals)
	{
		HiddenPortal *hidden = palloc(sizeof(HiddenPortal));

		hidden->portal = lfirst(lc);
		hidden->status = hidden->portal->status;
		hidden->strategy = hidden->portal->strategy;
		hidden->pinned = hidden->portal->portalPinned;
		lfirst(lc) = hidden;
	}
	foreach(lc, portals)
	{
		HiddenPortal *hidden = lfirst(lc);

		hidden->portal->status = PORTAL_ACTIVE;
		hidden->portal->strategy = PORTAL_UTIL_SELECT;
	}
	return portals;
}

void
jobq_portals_show(List *hidden)
{
	ListCell   *lc;

	foreach(lc, hidden)
	{
		HiddenPortal *entry = lfirst(lc);

		entry->portal->status = entry->status;
		entry->portal->strategy = entry->strategy;
		entry->portal->portalPinned = entry->pinned;
	}
}

void
jobq_portals_drop(void)
{
	ListCell   *lc;

	foreach(lc, usable_portals())
	{
		Portal		portal = lfirst(lc);

		/* PL/Perl pins those of spi_query(), and leaves them */
		if (portal->portalPinned)
			UnpinPortal(portal);
		PortalDrop(portal, false);
	}
}

/* See portals.h. */
bool
jobq_portals_any_to_hold(void)
{
	List	   *portals = usable_portals();
	bool		result = false;
	ListCell   *lc;

	foreach(lc, portals)
	{
		Portal		portal = lfirst(lc);

		/* one that an earlier transaction has left has no createSubid */
		if ((portal->cursorOptions & CURSOR_OPT_HOLD) != 0 &&
			portal->createSubid != InvalidSubTransactionId)
			result = true;
	}
	list_free(portals);
	return result;
}
