/*
 * cppcheck.h
 *		What cppcheck must know of PostgreSQL's macros.
 *
 * cppcheck reads our files without the server's headers (which take it
 * minutes), so macros that are no valid C by themselves are defined here.
 */
#define PG_MODULE_MAGIC extern int cppcheck_module_magic
#define PG_FUNCTION_INFO_V1(f) extern int cppcheck_finfo_##f
#define PG_FUNCTION_ARGS void *fcinfo
#define PGDLLEXPORT
#define PGDLLIMPORT
#define FLEXIBLE_ARRAY_MEMBER
#define PG_TRY() if (pg_try()) {
#define PG_CATCH() } else {
#define PG_FINALLY() } {
#define PG_END_TRY() }
#define foreach(cell, list) for (; (cell = next_cell(list)) != 0;)
#define dlist_foreach(iter, head) for (; (iter.cur = next_node(head)) != 0;)
#define dclist_foreach(iter, head) for (; (iter.cur = next_node(head)) != 0;)
#define dlist_foreach_modify(iter, head) \
	for (; (iter.cur = next_node(head)) != 0;)
#define dclist_foreach_modify(iter, head) \
	for (; (iter.cur = next_node(head)) != 0;)
#define slist_foreach(iter, head) for (; (iter.cur = next_node(head)) != 0;)
#define slist_foreach_modify(iter, head) \
	for (; (iter.cur = next_node(head)) != 0;)
#define pg_attribute_printf(f, a)
#define pg_attribute_noreturn()
#define pg_attribute_unused()
#define PG_USED_FOR_ASSERTS_ONLY
#define pg_noinline
#define pg_nodiscard
#define StaticAssertStmt(c, m)
#define StaticAssertDecl(c, m) extern int cppcheck_static_assert
#define UINT64_FORMAT "%lu"
#define INT64_FORMAT "%ld"
#define INT64_MODIFIER "l"
