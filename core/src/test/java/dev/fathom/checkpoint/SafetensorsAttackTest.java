package dev.fathom.checkpoint;

import static dev.fathom.checkpoint.SafetensorsBytes.file;
import static dev.fathom.checkpoint.SafetensorsBytes.tensor;
import static dev.fathom.checkpoint.SafetensorsBytes.withLength;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Headers made to cost time, memory or a crash; and random damage. */
class SafetensorsAttackTest {
  private static final String JSON = "the header must be JSON, but ";
  private static final String DIGITS =
      " must hold integers from 0 to 2^63 - 1, written in digits: tensor=\"a\"";

  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  @TempDir Path folder;

  @Test
  void aWrongHeaderBehindAGiantStringNumberOrNestingIsRefusedInBoundedMemory() {
    int size = 9_900_000;
    assertRefused(
        giant("{\"__metadata__\":{\"a\":\"", 'x', "\"},\"t\":1}", 99_000_000),
        ErrorCode.SAFETENSORS_HEADER_FIELD,
        "a tensor must be an object: tensor=\"t\"");
    assertRefused(
        giant("{\"", 'x', "\":1}", size),
        ErrorCode.SAFETENSORS_NAME,
        "a tensor name must have at most 1024 bytes: offset=1");
    assertRefused(
        giant("{\"a\":{\"shape\":[", '9', "]}}", size),
        ErrorCode.SAFETENSORS_HEADER_JSON,
        JSON + "a number must have at most 1000 characters: offset=15");
    assertRefused(
        giant("{\"a\":{\"x", 'x', "\":1}}", size),
        ErrorCode.SAFETENSORS_HEADER_FIELD,
        "a tensor must have no key but dtype, shape and data_offsets: key=\"\", tensor=\"a\"");
    assertRefused(
        giant("{\"a\":{\"shape\":", '[', "]}}", size),
        ErrorCode.SAFETENSORS_HEADER_FIELD,
        "shape" + DIGITS);
    assertRefused(
        giant("", '[', "", 99_000_000),
        ErrorCode.SAFETENSORS_HEADER_JSON,
        JSON + "must not nest deeper than 8 levels: offset=8");
    assertRefused(
        giant("{\"a\":{\"dtype\":\"", 'F', "\"}}", size), ErrorCode.SAFETENSORS_DTYPE, null);
  }

  @Test
  void moreThanAMillionTensorsAreRefusedAndAHundredThousandAreRead() {
    byte[] many = emptyTensors(100_000);
    assertThat(SafetensorsHeader.parse(Path.of("x"), many, 8 + many.length).tensors())
        .hasSize(100_000);
    assertRefused(
        emptyTensors(1_000_001),
        ErrorCode.SAFETENSORS_TOO_MANY_TENSORS,
        "a file must have at most 1000000 tensors");
  }

  @Test
  void aNameOf1024BytesIsTheLongest() {
    String longest = "é".repeat(512);
    byte[] ok = ("{" + tensor(longest, "U8", "[0]", "[0,0]") + "}").getBytes(UTF_8);
    assertThat(SafetensorsHeader.parse(Path.of("x"), ok, 8 + ok.length).tensors().getFirst().name())
        .isEqualTo(longest);
    assertRefused(
        ("{" + tensor(longest + "a", "U8", "[0]", "[0,0]") + "}").getBytes(UTF_8),
        ErrorCode.SAFETENSORS_NAME,
        "a tensor name must have at most 1024 bytes: offset=1");
  }

  @Test
  void aLengthOf1000InAShortFileIsRefused() {
    Path path =
        SafetensorsBytes.write(
            folder.resolve("lie.safetensors"), withLength(1000, "{}".getBytes(UTF_8), 90));

    assertThatThrownBy(() -> SafetensorsFile.open(path))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("the header must fit the file: header bytes=1000 bytes left=92");
  }

  /** 100 000 headers; a miss of the budget fails, since a reader must not be slow on purpose. */
  @Test
  void damagedHeadersNeverEscapeAsAnythingButACheckpointException() {
    Random random = new Random(20261122);
    List<byte[]> seeds = seeds();
    int accepted = 0;
    long start = THREADS.getCurrentThreadCpuTime();
    for (int i = 0; i < 100_000; i++) {
      byte[] header = mutate(seeds.get(i % seeds.size()), random);
      try {
        SafetensorsFile file =
            SafetensorsHeader.parse(Path.of("x"), header, 8L + header.length + 16);
        assertThat(tiles(file, 8L + header.length + 16)).isTrue();
        accepted++;
      } catch (CheckpointException e) {
        assertThat(e.code().number()).as(new String(header, UTF_8)).isBetween(1103, 1113);
      }
    }
    assertThat(accepted).as("some damage is harmless").isBetween(1_000, 60_000);
    assertThat((THREADS.getCurrentThreadCpuTime() - start) / 1_000_000)
        .as("milliseconds of this thread")
        .isLessThan(5_000);
  }

  private static List<byte[]> seeds() {
    String a = tensor("a", "F32", "[2,2]", "[0,16]");
    String two = tensor("a", "BF16", "[1,4]", "[0,8]") + "," + tensor("b", "I64", "[]", "[8,16]");
    return List.of(
        ("{" + a + "}").getBytes(UTF_8),
        ("{\"__metadata__\":{\"format\":\"pt\",\"é\":\"\\u00e9\"}," + a + "}").getBytes(UTF_8),
        ("{" + two + "," + tensor("z", "F4", "[0,3]", "[16,16]") + "}  ").getBytes(UTF_8));
  }

  /** Flips, replaces, deletes, repeats or swaps in a fragment of another place. */
  private static byte[] mutate(byte[] seed, Random random) {
    byte[] bytes = seed.clone();
    for (int n = random.nextInt(3); n >= 0 && bytes.length > 1; n--) {
      int at = random.nextInt(bytes.length);
      int length = 1 + random.nextInt(Math.min(12, bytes.length - at));
      switch (random.nextInt(6)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) random.nextInt(256);
        case 2 -> bytes[at] = (byte) ('0' + random.nextInt(10));
        case 3 -> bytes = splice(bytes, at, at + length, new byte[0]);
        case 4 ->
            bytes = splice(bytes, at, at, java.util.Arrays.copyOfRange(bytes, at, at + length));
        default -> {
          int from = random.nextInt(bytes.length - length + 1);
          bytes = splice(bytes, at, at, java.util.Arrays.copyOfRange(bytes, from, from + length));
        }
      }
    }
    return bytes;
  }

  private static byte[] splice(byte[] bytes, int from, int to, byte[] by) {
    byte[] out = new byte[bytes.length - (to - from) + by.length];
    System.arraycopy(bytes, 0, out, 0, from);
    System.arraycopy(by, 0, out, from, by.length);
    System.arraycopy(bytes, to, out, from + by.length, bytes.length - to);
    return out;
  }

  private static boolean tiles(SafetensorsFile file, long fileLength) {
    long end = file.dataOffset();
    for (TensorInfo tensor : file.tensors()) {
      if (tensor.offset() != end
          || tensor.byteLength() != tensor.dtype().byteLength(tensor.numElements())) {
        return false;
      }
      end += tensor.byteLength();
    }
    return end == fileLength;
  }

  @Test
  void wholeFilesOfRandomBytesAreRefused() {
    Random random = new Random(5);
    for (int i = 0; i < 500; i++) {
      byte[] bytes = new byte[random.nextInt(200)];
      random.nextBytes(bytes);
      Path path = SafetensorsBytes.write(folder.resolve("random.safetensors"), bytes);
      assertThatThrownBy(() -> SafetensorsFile.open(path)).isInstanceOf(CheckpointException.class);
      Path framed = SafetensorsBytes.write(path, file(bytes, 0));
      assertThatThrownBy(() -> SafetensorsFile.open(framed))
          .isInstanceOf(CheckpointException.class);
    }
  }

  @Test
  void controlCharactersInNamesAreFoundHoweverTheyAreWritten() {
    for (String name : List.of("a\u007fb", "a\u0085b", "a\\nb", "é\\u007f", "\\u009f")) {
      assertRefused(
          ("{" + tensor(name, "U8", "[0]", "[0,0]") + "}").getBytes(UTF_8),
          ErrorCode.SAFETENSORS_NAME,
          null);
    }
  }

  private static byte[] emptyTensors(int numTensors) {
    StringBuilder header = new StringBuilder(numTensors * 60).append('{');
    for (int i = 0; i < numTensors; i++) {
      header.append(i == 0 ? "" : ",").append("\"t").append(i);
      header.append("\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}");
    }
    return header.append('}').toString().getBytes(UTF_8);
  }

  private static byte[] giant(String head, char filler, String tail, int size) {
    byte[] bytes = new byte[head.length() + size + tail.length()];
    java.util.Arrays.fill(bytes, (byte) filler);
    System.arraycopy(head.getBytes(UTF_8), 0, bytes, 0, head.length());
    System.arraycopy(tail.getBytes(UTF_8), 0, bytes, head.length() + size, tail.length());
    return bytes;
  }

  private static void assertRefused(byte[] header, ErrorCode code, String why) {
    CheckpointException e =
        catchThrowableOfType(
            CheckpointException.class,
            () -> SafetensorsHeader.parse(Path.of("x"), header, 8L + header.length));
    assertThat(e).isNotNull();
    assertThat(e.code()).isEqualTo(code);
    assertThat(e.getMessage()).hasSizeLessThan(1000);
    if (why != null) {
      assertThat(e.why()).isEqualTo(why);
    }
  }
}
