# Sourced by mvnw and fathom. find_jdk prints the home of a JDK that is new enough, or explains
# on stderr how to get one and returns 2.

FATHOM_MIN_JAVA=25

# Sets jdk_version to the feature version of the JDK in folder $1 ("25"), empty where there is none.
# Reads the text file "release" that every JDK carries, because starting a JVM costs 40 ms or more;
# nor does it start a subshell, of which there would be one for each JDK of the machine.
read_jdk_version() {
  local line
  jdk_version=
  [ -r "$1/release" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      JAVA_VERSION=*)
        line=${line#JAVA_VERSION=}
        line=${line#\"}
        line=${line#1.}
        jdk_version=${line%%[!0-9]*}
        return 0
        ;;
    esac
  done <"$1/release"
}

# True if folder $1 holds a JDK (with compiler) of at least the wanted version.
jdk_fits() {
  local jdk_version
  [ -n "$1" ] && [ -x "$1/bin/java" ] && [ -x "$1/bin/javac" ] || return 1
  read_jdk_version "$1"
  [ -n "$jdk_version" ] && [ "$jdk_version" -ge "$FATHOM_MIN_JAVA" ]
}

# Prints the home of the `java` that PATH finds, symbolic links resolved.
java_home_on_path() {
  local java target hops=0
  java=$(command -v java 2>/dev/null) || return 0
  while [ -L "$java" ] && [ "$hops" -lt 20 ]; do
    target=$(readlink "$java")
    case $target in
      /*) java=$target ;;
      *) java=$(dirname "$java")/$target ;;
    esac
    hops=$((hops + 1))
  done
  (cd "$(dirname "$java")/.." 2>/dev/null && pwd -P)
}

find_jdk() {
  local candidate
  for candidate in "${FATHOM_JAVA_HOME:-}" "${JAVA_HOME:-}"; do
    if jdk_fits "$candidate"; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  candidate=$(java_home_on_path)
  if jdk_fits "$candidate"; then
    printf '%s\n' "$candidate"
    return 0
  fi
  if [ -x /usr/libexec/java_home ]; then
    candidate=$(/usr/libexec/java_home -v "$FATHOM_MIN_JAVA+" 2>/dev/null)
    if jdk_fits "$candidate"; then
      printf '%s\n' "$candidate"
      return 0
    fi
  fi
  for candidate in /usr/lib/jvm/* /usr/java/* /opt/* /opt/*/* \
    "${SDKMAN_DIR:-$HOME/.sdkman}"/candidates/java/* "$HOME"/.jdks/* \
    /Library/Java/JavaVirtualMachines/*/Contents/Home \
    "$HOME"/Library/Java/JavaVirtualMachines/*/Contents/Home; do
    if jdk_fits "$candidate"; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  cat >&2 <<EOF
Fathom needs a JDK $FATHOM_MIN_JAVA or newer: none was found in FATHOM_JAVA_HOME (${FATHOM_JAVA_HOME:-not set}), JAVA_HOME (${JAVA_HOME:-not set}), on PATH or in the usual folders (/usr/lib/jvm, /opt, ~/.sdkman, ~/.jdks, /Library/Java).
Why: Fathom uses the Vector API and the foreign memory API as they are in JDK $FATHOM_MIN_JAVA.
Fix: install one, for example
  Eclipse Temurin $FATHOM_MIN_JAVA   https://adoptium.net/temurin/releases/?version=$FATHOM_MIN_JAVA
  SDKMAN               sdk install java $FATHOM_MIN_JAVA-tem
  Debian, Ubuntu       apt install openjdk-$FATHOM_MIN_JAVA-jdk   (where the release has it)
  Fedora               dnf install java-$FATHOM_MIN_JAVA-openjdk-devel
  macOS                brew install --cask temurin@$FATHOM_MIN_JAVA
or set FATHOM_JAVA_HOME to the folder of one that is installed elsewhere.
EOF
  return 2
}
