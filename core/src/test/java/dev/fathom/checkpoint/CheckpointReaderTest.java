package dev.fathom.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.fathom.error.CheckpointException;
import dev.fathom.error.ErrorCode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointReaderTest {
  private static final int NUM_TENSORS = 12;

  @TempDir Path folder;
  private final List<byte[]> data = new ArrayList<>();

  /** Tensors of odd sizes from 0 to above one chunk of 8 MiB, in two shards. */
  @BeforeEach
  void writeCheckpoint() throws IOException {
    Random random = new Random(3);
    List<TensorSpec> specs = new ArrayList<>();
    for (int i = 0; i < NUM_TENSORS; i++) {
      byte[] bytes = new byte[i == 3 ? 9_000_001 : i == 5 ? 0 : 1 + random.nextInt(5_000)];
      random.nextBytes(bytes);
      data.add(bytes);
      specs.add(TensorSpec.of("t" + i, SafetensorsDtype.U8, bytes.length));
    }
    Files.writeString(folder.resolve("config.json"), "{\"model_type\":\"test\"}");
    ShardedWriter.plan(specs, 9_020_000)
        .write(folder, (tensor, sink) -> sink.write(MemorySegment.ofArray(bytesOf(tensor.name()))));
  }

  private byte[] bytesOf(String name) {
    return data.get(Integer.parseInt(name.substring(1)));
  }

  @Test
  void nativeAndHeapTargetsGetTheSameBytesAndProgressCountsThem() {
    Checkpoint checkpoint = Checkpoint.open(folder);
    assertThat(checkpoint.files()).hasSize(2);
    AtomicLong progress = new AtomicLong();
    try (Arena arena = Arena.ofConfined();
        CheckpointReader reader = checkpoint.reader(progress::addAndGet)) {
      for (TensorInfo tensor : checkpoint.tensors().values()) {
        byte[] heap = new byte[(int) tensor.byteLength()];
        reader.read(tensor, MemorySegment.ofArray(heap));
        assertThat(heap).isEqualTo(bytesOf(tensor.name()));
        MemorySegment owned = arena.allocate(tensor.byteLength());
        reader.read(tensor, owned);
        assertThat(owned.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(heap);
      }
    }
    assertThat(progress).hasValue(2 * checkpoint.weightBytes());
  }

  @Test
  void aRangeOfATensorIsReadAlone() {
    Checkpoint checkpoint = Checkpoint.open(folder);
    TensorInfo tensor = checkpoint.tensor("t3");
    try (CheckpointReader reader = checkpoint.reader(ReadProgress.NONE)) {
      byte[] part = new byte[1001];
      reader.readRange(tensor, 8_388_000, MemorySegment.ofArray(part));
      assertThat(part).isEqualTo(java.util.Arrays.copyOfRange(data.get(3), 8_388_000, 8_389_001));
      assertThatThrownBy(() -> reader.readRange(tensor, 9_000_000, MemorySegment.ofArray(part)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("must lie inside the tensor: fromByte=9000000 target=1001 tensor=9000001");
      assertThatThrownBy(() -> reader.read(tensor, MemorySegment.ofArray(part)))
          .hasMessage("must have the tensor's bytes: target=1001 tensor=9000001");
    }
  }

  @Test
  void severalThreadsReadAtOnce() throws InterruptedException {
    Checkpoint checkpoint = Checkpoint.open(folder);
    List<String> wrong = java.util.Collections.synchronizedList(new ArrayList<>());
    writeChecksums(checkpoint, "");
    Checkpoint withChecksums = Checkpoint.open(folder);
    assertThat(checkpoint.hasChecksums()).isFalse();
    assertThat(withChecksums.hasChecksums()).isTrue();
    try (CheckpointReader reader = withChecksums.reader(ReadProgress.NONE)) {
      List<Thread> threads = new ArrayList<>();
      for (int t = 0; t < 4; t++) {
        int first = t;
        threads.add(
            Thread.ofPlatform()
                .start(() -> {
                  for (int i = first; i < 4 * NUM_TENSORS; i += 3) {
                    TensorInfo tensor = withChecksums.tensor("t" + i % NUM_TENSORS);
                    byte[] heap = new byte[(int) tensor.byteLength()];
                    reader.read(tensor, MemorySegment.ofArray(heap));
                    if (!java.util.Arrays.equals(heap, bytesOf(tensor.name()))) {
                      wrong.add(tensor.name());
                    }
                  }
                }));
      }
      for (Thread thread : threads) {
        thread.join();
      }
      reader.verify();
    }
    assertThat(wrong).isEmpty();
  }

  @Test
  void aFileCutAfterItsHeaderWasReadSaysSoWhenItIsOpened() throws IOException {
    Checkpoint checkpoint = Checkpoint.open(folder);
    TensorInfo tensor = checkpoint.tensor("t3");
    long before = Files.size(tensor.file());
    truncate(tensor.file(), before - 10);

    CheckpointException e =
        catchThrowableOfType(CheckpointException.class, () -> readOne(checkpoint, tensor));

    assertThat(e.code()).isEqualTo(ErrorCode.READ_FILE_CHANGED);
    assertThat(e)
        .hasMessage(
            "FATHOM-1301 The file \""
                + tensor.file()
                + "\" changed after its header was read: its size must stay the same while the"
                + " model loads: bytes="
                + before
                + " now="
                + (before - 10)
                + ". Fix: load the model again; replace model files by renaming a complete one,"
                + " never in place");
  }

  @Test
  void aFileCutWhileItIsReadNamesFileTensorAndBytes() throws IOException {
    Checkpoint checkpoint = Checkpoint.open(folder);
    TensorInfo first = checkpoint.tensor("t0");
    TensorInfo tensor = checkpoint.tensor("t3");
    try (CheckpointReader reader = checkpoint.reader(ReadProgress.NONE)) {
      reader.read(first, MemorySegment.ofArray(new byte[(int) first.byteLength()]));
      truncate(tensor.file(), tensor.offset() + 8_400_000);

      CheckpointException e =
          catchThrowableOfType(
              CheckpointException.class,
              () -> reader.read(tensor, MemorySegment.ofArray(new byte[9_000_001])));

      assertThat(e.code()).isEqualTo(ErrorCode.READ_TRUNCATED);
      assertThat(e)
          .hasMessage(
              "FATHOM-1300 The file \""
                  + tensor.file()
                  + "\" ended while it was read: it was cut short after its header was read:"
                  + " tensor=\"t3\" expected bytes=9000001 actual=8400000. Fix: load the model"
                  + " again; replace model files by renaming a complete one, never in place");
    }
  }

  @Test
  void aFileRewrittenInPlaceIsNoticedAtTheEnd() throws IOException {
    Checkpoint checkpoint = Checkpoint.open(folder);
    TensorInfo tensor = checkpoint.tensor("t0");
    try (CheckpointReader reader = checkpoint.reader(ReadProgress.NONE)) {
      reader.read(tensor, MemorySegment.ofArray(new byte[(int) tensor.byteLength()]));
      reader.verify();
      Files.setLastModifiedTime(tensor.file(), FileTime.fromMillis(1_000_000));

      assertThatThrownBy(reader::verify)
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("it was replaced or written to while the model loads: modified=");
    }
  }

  @Test
  void checksumsAreTakenFromTheBytesThatAreReadInOrder() {
    Checkpoint plain = Checkpoint.open(folder);
    writeChecksums(plain, "");
    Checkpoint checkpoint = Checkpoint.open(folder);
    AtomicLong progress = new AtomicLong();
    long headers = checkpoint.files().stream().mapToLong(SafetensorsFile::dataOffset).sum();

    try (CheckpointReader reader = checkpoint.reader(progress::addAndGet)) {
      for (TensorInfo tensor : checkpoint.tensors().values()) {
        reader.read(tensor, MemorySegment.ofArray(new byte[(int) tensor.byteLength()]));
      }
      assertThat(progress).hasValue(headers + checkpoint.weightBytes());
      reader.verify();
      assertThat(progress).as("nothing is read twice").hasValue(headers + checkpoint.weightBytes());
    }
  }

  @Test
  void aDamagedTensorIsFoundInOrderAndOutOfOrder() throws IOException {
    Checkpoint plain = Checkpoint.open(folder);
    writeChecksums(plain, "");
    TensorInfo damaged = plain.tensor("t3");
    String expected = sha256(damaged.file());
    try (RandomAccessFile file = new RandomAccessFile(damaged.file().toFile(), "rw")) {
      file.seek(damaged.offset() + 4_000_000);
      file.write(data.get(3)[4_000_000] ^ 1);
    }
    String message =
        "FATHOM-1302 The file \""
            + damaged.file()
            + "\" is damaged: its SHA-256 must be the one in checksums.sha256: expected="
            + expected
            + " actual="
            + sha256(damaged.file())
            + ". Fix: download the file again; if it was changed on purpose, write"
            + " checksums.sha256 again";
    Checkpoint checkpoint = Checkpoint.open(folder);
    List<TensorInfo> inOrder = List.copyOf(checkpoint.tensors().values());

    try (CheckpointReader reader = checkpoint.reader(ReadProgress.NONE)) {
      assertThatThrownBy(() -> inOrder.forEach(tensor -> read(reader, tensor)))
          .isInstanceOf(CheckpointException.class)
          .hasMessage(message);
      assertThatThrownBy(reader::verify)
          .as("a caller that went on is told again")
          .isInstanceOf(CheckpointException.class)
          .hasMessage(message);
    }
    try (CheckpointReader reader = checkpoint.reader(ReadProgress.NONE)) {
      inOrder.reversed().forEach(tensor -> read(reader, tensor));
      assertThatThrownBy(reader::verify)
          .isInstanceOf(CheckpointException.class)
          .hasMessage(message);
    }
    try (CheckpointReader reader = checkpoint.reader(ReadProgress.NONE)) {
      assertThatThrownBy(reader::verify).hasMessage(message);
    }
  }

  @Test
  void aDamagedConfigIsFoundWhenTheFolderIsOpened() throws IOException {
    writeChecksums(Checkpoint.open(folder), "");
    String expected = sha256(folder.resolve("config.json"));
    Files.writeString(folder.resolve("config.json"), "{\"model_type\":\"tEst\"}");

    assertThatThrownBy(() -> Checkpoint.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageStartingWith(
            "FATHOM-1302 The file \"" + folder.resolve("config.json") + "\" is damaged: ")
        .hasMessageContaining("expected=" + expected);
  }

  @Test
  void checksumLinesAreStrict() {
    Path file = Path.of("checksums.sha256");
    String hex = "AB".repeat(32);

    assertThat(
            Checksums.parse(
                    file,
                    (hex + "  a\n\n" + hex + " *./b c\r\n" + hex + "  sub/x\n").getBytes(UTF_8))
                .byName())
        .isEqualTo(
            Map.of(
                "a", hex.toLowerCase(java.util.Locale.ROOT),
                "b c", hex.toLowerCase(java.util.Locale.ROOT),
                "sub/x", hex.toLowerCase(java.util.Locale.ROOT)));
    for (String line : List.of("x", hex, hex + "  ", hex + " a", hex.substring(1) + "g  a")) {
      assertThatThrownBy(() -> Checksums.parse(file, ("\n" + line).getBytes(UTF_8)))
          .isInstanceOf(CheckpointException.class)
          .hasMessage(
              "FATHOM-1303 The file \"checksums.sha256\" is not usable: a line must be 64"
                  + " hexadecimal digits, two spaces and a name: line=2. Fix: write it again with"
                  + " \"sha256sum *.safetensors *.json > checksums.sha256\", or delete it");
    }
    assertThatThrownBy(
            () -> Checksums.parse(file, (hex + "  a\n" + hex + "  ./a\n").getBytes(UTF_8)))
        .hasMessageContaining("a file must be listed once: line=2");
  }

  @Test
  void mappedTensorsAreViewsOfTheSameBytes() {
    Checkpoint checkpoint = Checkpoint.open(folder);
    try (Arena arena = Arena.ofShared()) {
      MappedCheckpoint mapped = new MappedCheckpoint(checkpoint.files(), arena);
      for (TensorInfo tensor : checkpoint.tensors().values()) {
        MemorySegment view = mapped.segment(tensor);
        assertThat(view.isReadOnly()).isTrue();
        assertThat(view.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(bytesOf(tensor.name()));
      }
    }
  }

  @Test
  void aClosedReaderReadsNothingAndClosesTwice() {
    Checkpoint checkpoint = Checkpoint.open(folder);
    CheckpointReader reader = checkpoint.reader(ReadProgress.NONE);
    reader.close();
    reader.close();

    assertThatThrownBy(() -> read(reader, checkpoint.tensor("t0")))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("must not be closed: reader");
  }

  @Test
  void anInterruptedThreadIsTold() {
    Checkpoint checkpoint = Checkpoint.open(folder);
    try (CheckpointReader reader = checkpoint.reader(ReadProgress.NONE)) {
      Thread.currentThread().interrupt();
      assertThatThrownBy(() -> read(reader, checkpoint.tensor("t0")))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("the reading thread was interrupted");
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void tensorsBeyondTwoGigabytesAreReadFromASparseFile() throws IOException {
    Path file = folder.resolve("large.safetensors");
    long half = 3L << 30;
    TensorSpec first = TensorSpec.of("first", SafetensorsDtype.F32, 3, 1 << 28);
    TensorSpec second = TensorSpec.of("second", SafetensorsDtype.U8, half + 1);
    byte[] header = SafetensorsWriter.header(List.of(first, second), Map.of());
    SafetensorsBytes.write(file, SafetensorsBytes.file(header, 0));
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(8 + header.length + 2 * half + 1);
      sparse.seek(8 + header.length + 2 * half);
      sparse.write(42);
    }

    SafetensorsFile opened = SafetensorsFile.open(file);
    TensorInfo last = opened.tensors().getLast();
    assertThat(last.byteLength()).isEqualTo(half + 1);
    assertThat(last.offset()).isEqualTo(8 + header.length + half);
    try (CheckpointReader reader = CheckpointReader.of(List.of(opened), ReadProgress.NONE)) {
      byte[] end = new byte[5];
      reader.readRange(last, half - 4, MemorySegment.ofArray(end));
      assertThat(end).containsExactly(0, 0, 0, 0, 42);
    }
    try (Arena arena = Arena.ofShared()) {
      MemorySegment view = new MappedCheckpoint(List.of(opened), arena).segment(last);
      assertThat(view.get(ValueLayout.JAVA_BYTE, half)).isEqualTo((byte) 42);
    }
  }

  private static void readOne(Checkpoint checkpoint, TensorInfo tensor) {
    try (CheckpointReader reader = checkpoint.reader(ReadProgress.NONE)) {
      read(reader, tensor);
    }
  }

  private static void read(CheckpointReader reader, TensorInfo tensor) {
    reader.read(tensor, MemorySegment.ofArray(new byte[(int) tensor.byteLength()]));
  }

  private static void truncate(Path file, long length) throws IOException {
    try (RandomAccessFile access = new RandomAccessFile(file.toFile(), "rw")) {
      access.setLength(length);
    }
  }

  /** As sha256sum writes it, with config.json. */
  private void writeChecksums(Checkpoint checkpoint, String more) {
    StringBuilder out = new StringBuilder(more);
    List<Path> files = new ArrayList<>();
    checkpoint.files().forEach(file -> files.add(file.path()));
    files.add(folder.resolve("config.json"));
    files.add(folder.resolve("model.safetensors.index.json"));
    for (Path file : files) {
      out.append(sha256(file)).append("  ").append(file.getFileName()).append('\n');
    }
    SafetensorsBytes.write(folder.resolve("checksums.sha256"), out.toString().getBytes(UTF_8));
  }

  private static String sha256(Path file) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(digest.digest(Files.readAllBytes(file)));
    } catch (IOException | java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
