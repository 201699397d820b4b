# The front door for a person with GNU make. It sees to the packages, compiles
# the generator with one call of the compiler and hands over to ninja, which
# knows everything else (build.ninja.in, gen/).

CC ?= cc
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

# what the generator is made of, as gen/source.c has it
generator = lib/base/*.c gen/*.c lib/record/base64.c lib/record/key.c \
	lib/record/sign.c lib/record/signers.c lib/record/wire.c
settings = --set 'CC=$(CC)' --set 'AR=$(AR)' --set 'CFLAGS=$(CFLAGS)' \
	--set 'LDFLAGS=$(LDFLAGS)'

.PHONY: help all packages demo check check-long install uninstall clean

help:
	@echo 'make all         the programs, into out/bin'
	@echo 'make demo        build, then take examples/pebble through its policy'
	@echo 'make check       build, then run every test'
	@echo 'make check-long  the tests that take longer; MODELS=DIR names models'
	@echo 'make install     PREFIX=/usr/local DESTDIR='
	@echo 'make uninstall   the same PREFIX and DESTDIR'
	@echo 'make clean       remove out/ and build.ninja'

# What is missing is installed, or the line that does it is printed.
packages:
	@missing=; for p in $$(cat docs/packages.txt); do \
	    [ -n "$$(dpkg-query -W -f '$${db:Status-Abbrev}' $$p 2>&1 | \
	        grep '^ii')" ] || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] || if [ "$$(id -u)" = 0 ]; then \
	    apt-get install -y --no-install-recommends $$missing || \
	        { apt-get update && \
	        apt-get install -y --no-install-recommends $$missing; }; \
	else \
	    echo "packages are missing; run:" >&2; \
	    echo "  sudo apt-get install --no-install-recommends$$missing" >&2; \
	    exit 1; fi

# The first generator. Afterwards ninja keeps it and the graph up to date.
build.ninja: | packages
	mkdir -p out/boot
	$(CC) -std=c11 -D_GNU_SOURCE $(CFLAGS) $(LDFLAGS) -I. \
	    -o out/boot/quern-gen $(generator) -lfyaml -ljansson -lsodium -lcrypto -lpthread
	out/boot/quern-gen --source . $(settings)

all: build.ninja
	$(NINJA) quern_programs

demo: all
	out/bin/quern demo

check: build.ninja
	$(NINJA) quern_programs quern_tests
	tests/run

check-long: check
	tests/run --long $(MODELS)

install: all
	mkdir -p '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/quern/policies' \
	    '$(DESTDIR)$(PREFIX)/share/man/man1'
	for p in out/bin/quern out/bin/quern-*; do \
	    install -m 755 "$$p" '$(DESTDIR)$(PREFIX)/bin/'; done
	install -m 644 build.ninja.in '$(DESTDIR)$(PREFIX)/share/quern/'
	install -m 644 policies/*.yaml policies/*.tsv \
	    '$(DESTDIR)$(PREFIX)/share/quern/policies/'
	for m in gen/*.1 steps/*.1 commands/*.1; do [ ! -e "$$m" ] || \
	    install -m 644 "$$m" '$(DESTDIR)$(PREFIX)/share/man/man1/'; done

uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/bin/quern' '$(DESTDIR)$(PREFIX)'/bin/quern-*
	rm -f '$(DESTDIR)$(PREFIX)/share/man/man1/quern.1' \
	    '$(DESTDIR)$(PREFIX)'/share/man/man1/quern-*.1
	rm -rf '$(DESTDIR)$(PREFIX)/share/quern'

clean:
	rm -rf out build.ninja
