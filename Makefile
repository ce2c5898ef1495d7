# Makefile of the PostgreSQL extension jobq (PGXS)
#
# For users:       make, make install, make installcheck (not as root)
# Everything else: make demo, make test; "make help" lists all targets.
#
# Variables:
#   PG_CONFIG=path   the PostgreSQL to build for (default: pg_config in PATH)
#   WERROR=1         warnings are errors
#   ASSERTS=1        compile with USE_ASSERT_CHECKING
#   TESTS=a,b        only these tests (test-regress, test-isolation, test-tap)
#   FUZZ_SECONDS=n   time for the fuzzers
#   SECONDS=n        time for make soak
#   ROUNDS=n         rounds of make stress, kills of each kind of make kills

PG_CONFIG ?= pg_config

# Where the sources are; differs from the current directory if make was
# started as "make -f path/to/Makefile" or with VPATH set.
here := $(if $(VPATH),$(VPATH)/,$(dir $(firstword $(MAKEFILE_LIST))))

# jobq.control is the only place that names the version.
EXTENSION = jobq
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(here)jobq.control)

c_dirs := src src/* bgworker bgworker/*
c_files := $(sort $(wildcard $(c_dirs:%=$(here)%/*.c)))
h_files := $(sort $(wildcard $(c_dirs:%=$(here)%/*.h)))

MODULE_big = jobq
OBJS := $(patsubst $(here)%.c,%.o,$(c_files))
PGFILEDESC = "jobq - job queue, cron and background workers"

# The install script is put together from parts, in the order given there.
install_script := jobq--$(EXTVERSION).sql
install_parts := $(addprefix $(here)extension/,$(shell \
	sed 's/\#.*//' $(here)extension/install.order 2>/dev/null))
DATA_built = $(install_script)
# Released scripts never change. The current version's is built, not taken.
DATA := $(filter-out extension/released/$(install_script), \
	$(patsubst $(here)%,%,$(sort $(wildcard $(here)extension/released/*.sql))))

PG_CPPFLAGS = -I$(srcdir)/src -I$(srcdir) -DJOBQ_VERSION=\"$(EXTVERSION)\"
# What is not declared PGDLLEXPORT is called directly (compat.h)
PG_CFLAGS = -fvisibility=hidden
PG_CFLAGS += -Wall -Wextra
# What PostgreSQL's own headers and macros cannot be compiled without
PG_CFLAGS += -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers
ifdef WERROR
PG_CFLAGS += -Werror
endif
ifdef ASSERTS
PG_CPPFLAGS += -DUSE_ASSERT_CHECKING
endif

# make installcheck starts private servers from the installed PostgreSQL,
# since the library must be preloaded.
tests_conf = --temp-config=$(srcdir)/tools/test.conf
REGRESS := $(patsubst $(here)sql/%.sql,%,$(sort $(filter-out $(here)sql/_%, \
	$(wildcard $(here)sql/*.sql))))
REGRESS_OPTS = --temp-instance=tmp_check $(tests_conf)
ISOLATION := $(patsubst $(here)isolation/specs/%.spec,%,$(sort \
	$(filter-out $(here)isolation/specs/_%, \
	$(wildcard $(here)isolation/specs/*.spec))))
ISOLATION_OPTS = --temp-instance=tmp_check_iso $(tests_conf) \
	--inputdir=$(srcdir)/isolation
ifneq ($(wildcard $(here)t/*.pl),)
TAP_TESTS = 1
endif

EXTRA_CLEAN = .build-flags jobq--*.sql build

# Without a PostgreSQL to build against only the targets below the include
# work; "make deps" installs one.
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(and $(PGXS),$(wildcard $(PGXS))),)

# Bitcode is for the server's JIT, which has little to inline from here; go
# without where the clang that PostgreSQL was built with is missing.
CLANG ?= $(shell sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(and $(CLANG),$(shell command -v $(CLANG))),)
override with_llvm = no
endif

all:
include $(PGXS)

PROVE_FLAGS += -I $(srcdir)/test/lib

# PGXS finds sources by VPATH when building outside the source tree, which
# would find objects there too. Search for sources only.
srcdir := $(here)
override VPATH :=
vpath %.c $(here)
vpath %.control $(here)

# Every object depends on every header (PGXS tracks no dependencies) and on
# the flags and the list of files, so that another set of them is a rebuild.
$(OBJS) $(OBJS:.o=.bc): $(h_files) .build-flags

.build-flags: FORCE
	@mkdir -p $(sort $(dir $(OBJS)))
	$(file >$@.new,$(CC) $(CFLAGS) $(CPPFLAGS) $(OBJS) $(install_parts))
	@if cmp -s $@.new $@; then rm -f $@.new; else mv -f $@.new $@; fi

$(install_script): $(install_parts) .build-flags
	@printf '%s\n\n' \
	  '\echo Use "CREATE EXTENSION jobq" to load this file. \quit' >$@.new
	@for part in $(install_parts); do \
	  { cat $$part && echo; } >>$@.new || exit 1; done
	mv -f $@.new $@

# The documentation is installed as it is laid out here, since its pages refer
# to each other. (PGXS has DOCS, which puts all files of all extensions into one
# directory.)
docs := README.md CHANGELOG.md LICENSE $(patsubst $(here)%,%,$(wildcard $(here)docs/*.md))
docs_installed = $(DESTDIR)$(docdir)/extension/$(EXTENSION)

install: install-docs
install-docs:
	$(MKDIR_P) '$(docs_installed)/docs'
	@for file in $(docs); do \
	  $(INSTALL_DATA) '$(srcdir)'$$file '$(docs_installed)/'$$file || exit 1; done

uninstall: uninstall-docs
uninstall-docs:
	rm -rf '$(docs_installed)'

.PHONY: install-docs uninstall-docs

else

all install uninstall installcheck:
	@echo 'No PostgreSQL to build against: "$(PG_CONFIG) --pgxs" names no' \
	  'makefile. Install the server development files ("make deps" does so' \
	  'on Debian and Ubuntu), or set PG_CONFIG=/path/to/pg_config.' >&2
	@exit 1

clean distclean:
	rm -rf $(c_dirs:%=%/*.o) $(c_dirs:%=%/*.bc) jobq.so $(EXTRA_CLEAN)

endif

# Everything below works in the source directory and needs no PGXS here:
# the scripts call make again, by when "deps" has installed it.
ifneq ($(origin PG_CONFIG),file)
export PG_CONFIG
endif
export TESTS FUZZ_SECONDS

# A server that runs from build/ would survive its own removal.
clean: stop-servers
stop-servers:
	@if [ -d build ]; then \
	  bash -c '. $(here)tools/lib.sh && stop_servers_below "$$build"'; fi

help:
	@echo 'make                 build'
	@echo 'make install         install into the PostgreSQL of PG_CONFIG'
	@echo 'make installcheck    test what is installed, with private servers'
	@echo 'make demo            install packages, build, show jobq at work'
	@echo 'make test            install packages, run all tests'
	@echo 'make test-unit, test-fuzz, test-model, test-regress, test-isolation,'
	@echo '     test-tap        one kind of tests (TESTS=a,b: only these)'
	@echo 'make soak            all faults under load for 15 minutes (SECONDS=n)'
	@echo 'make stress          clients that do everything at random (ROUNDS=n)'
	@echo 'make kills           limits and rates while processes are killed (ROUNDS=n)'
	@echo 'make check-style     formatting, static analysis, project rules'
	@echo 'make format          lay out C and Perl as PostgreSQL does'
	@echo 'make dev-server      a shell with a scratch server'
	@echo 'make bench           measure for some minutes (see bench/README.md)'
	@echo 'make deps            install the packages all this needs'
	@echo 'make clean           remove what was built'

deps:
	@tools/deps

demo:
	@tools/deps build
	@echo 'building jobq and a private server, which takes a minute or two'
	@tools/scratch run --release -- examples/demo/run

test:
	@tools/deps
	@tools/test-all

test-unit test-fuzz test-model test-regress test-isolation test-tap:
	@tools/test-all $(patsubst test-%,%,$@)

soak:
	@JOBQ_SOAK_SECONDS=$(or $(SECONDS),900) tools/test-all soak

stress:
	@JOBQ_ROUNDS=$(or $(ROUNDS),50) tools/test-all stress

kills:
	@JOBQ_ROUNDS=$(or $(ROUNDS),20) tools/test-all kills

check-style:
	@tools/check-style

format:
	@tools/format

dev-server:
	@tools/scratch run -- bash -c 'echo "psql connects to a private server; exit stops it and removes its data."; exec bash'

bench:
	@bench/run

FORCE:

.PHONY: all help deps demo test test-unit test-fuzz test-model test-regress \
	test-isolation test-tap soak stress kills check-style format dev-server bench stop-servers FORCE
