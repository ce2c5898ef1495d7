/*-------------------------------------------------------------------------
 *
 * textbuf.h
 *	  Append text to a buffer of fixed size.
 *
 * What does not fit is cut off, but counted, as by snprintf(); the buffer is
 * always terminated.  Not snprintf(): the callers put sentences together from
 * many small parts, and foreign text has to be made harmless on the way.
 *
 * IDENTIFICATION
 *	  src/common/textbuf.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_COMMON_TEXTBUF_H
#define JOBQ_COMMON_TEXTBUF_H

#include <stddef.h>
#include <stdint.h>

/* at most this many bytes of the user's text are shown in one place */
#define JOBQ_TEXT_FOREIGN_MAX	24

typedef struct JobqTextBuf
{
	char	   *data;
	size_t		size;			/* of data; may be 0 */
	size_t		len;			/* of the whole text, fitting or not */
} JobqTextBuf;

extern void jobq_text_init(JobqTextBuf *buf, char *data, size_t size);
extern void jobq_text_append(JobqTextBuf *buf, const char *text);
extern void jobq_text_append_number(JobqTextBuf *buf, int64_t number,
									int digits);
extern void jobq_text_append_foreign(JobqTextBuf *buf, const char *text,
									 size_t len);
extern void jobq_text_append_quoted(JobqTextBuf *buf, const char *text,
									size_t len);

#endif							/* JOBQ_COMMON_TEXTBUF_H */
