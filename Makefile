# The front door for a person with GNU make. It sees to the packages, compiles
# the generator with one call of the compiler and hands over to ninja, which
# knows everything else (build.ninja.in, gen/).

AR ?= ar
CFLAGS ?= -O2 -g
LDFLAGS ?=
NINJA ?= ninja
PREFIX ?= /usr/local
DESTDIR ?=
MODELS ?=
ifeq ($(origin CC),default)
CC := cc
endif
ifeq ($(origin AR),default)
AR := ar
endif

generator = $(shell cat gen/sources.txt)
settings = --set 'CC=$(CC)' --set 'AR=$(AR)' --set 'CFLAGS=$(CFLAGS)' \
	--set 'LDFLAGS=$(LDFLAGS)'
demo = examples/pebble/demo.sh

.PHONY: help all setup setup-check venv demo check check-long check-fuzz \
	bench install uninstall clean

help:
	@echo 'make demo        take examples/pebble from policy to signed release'
	@echo 'make check       build, then run every test'
	@echo 'make all         the programs, into out/bin'
	@echo 'make check-long  the tests that take longer; MODELS=DIR names models'
	@echo 'make check-fuzz  SECONDS=60 for each reader, under sanitizers'
	@echo 'make bench       the figures, beside their peers'
	@echo 'make install     PREFIX=/usr/local DESTDIR='
	@echo 'make uninstall   the same PREFIX and DESTDIR'
	@echo 'make clean       remove out/ and build.ninja'

# Installs what is missing of docs/packages.txt, or prints the line that does.
setup:
	@docs/packages.sh build

setup-check:
	@docs/packages.sh build check

# The first generator. Afterwards ninja keeps it and the graph up to date.
out/boot/quern-gen: | setup
	@mkdir -p out/boot
	$(CC) -std=c11 -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -I. -o $@ $(generator) \
	    -lfyaml -ljansson -lsodium -lcrypto -lm -lpthread

build.ninja: | out/boot/quern-gen
	out/boot/quern-gen --source . $(settings)

all: setup build.ninja
	$(NINJA) quern_programs

demo: all
	$(demo) $(settings)

# Packages of the interoperability tests, in a folder of their own.
venv: setup-check
	@tests/interop/venv.sh

check: setup-check venv build.ninja
	$(NINJA) quern_programs quern_tests
	tests/run.py

check-long: setup-check venv build.ninja
	$(NINJA) quern_programs quern_tests
	MODELS='$(MODELS)' tests/run.py --long

SECONDS ?= 60
check-fuzz: setup-check all
	tests/fuzz/run.py --seconds $(SECONDS)

bench: setup-check build.ninja
	$(NINJA) quern_programs quern_bench
	tests/bench/run.py

install: all
	mkdir -p '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/quern/policies' \
	    '$(DESTDIR)$(PREFIX)/share/man/man1'
	for p in out/bin/quern out/bin/quern-*; do \
	    install -m 755 "$$p" '$(DESTDIR)$(PREFIX)/bin/'; done
	install -m 644 build.ninja.in '$(DESTDIR)$(PREFIX)/share/quern/'
	install -m 644 policies/*.yaml policies/*.tsv \
	    '$(DESTDIR)$(PREFIX)/share/quern/policies/'
	for m in gen/*.1 steps/*.1 commands/*.1; do \
	    case $$m in commands/quern.1) to=quern.1;; *) to=quern-$${m##*/};; \
	    esac; install -m 644 "$$m" \
	    '$(DESTDIR)$(PREFIX)/share/man/man1/'"$${to#quern-quern-}"; done

uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/bin/quern' '$(DESTDIR)$(PREFIX)'/bin/quern-*
	rm -f '$(DESTDIR)$(PREFIX)/share/man/man1/quern.1' \
	    '$(DESTDIR)$(PREFIX)'/share/man/man1/quern-*.1
	rm -rf '$(DESTDIR)$(PREFIX)/share/quern'

clean:
	rm -rf out build.ninja .ninja_log .ninja_deps
