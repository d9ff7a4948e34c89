package dev.fathom.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The further goldens, where they are present: every checkpoint opens and every byte is read. */
class PublishedFilesTest {
  private static final Path SHARED = Path.of("../../shared");

  @TestFactory
  Stream<DynamicTest> everyGoldenCheckpointOpensAndReads() throws IOException {
    Assumptions.assumeTrue(Files.isDirectory(SHARED), "further goldens are not present");
    List<Path> folders;
    try (Stream<Path> files = Files.walk(SHARED, 5, FileVisitOption.FOLLOW_LINKS)) {
      folders =
          files.filter(file -> file.endsWith("config.json")).map(Path::getParent).sorted().toList();
    }
    assertThat(folders).hasSizeGreaterThan(10);
    return folders.stream()
        .map(f -> DynamicTest.dynamicTest(SHARED.relativize(f).toString(), () -> opensAndReads(f)));
  }

  private static void opensAndReads(Path folder) {
    Checkpoint checkpoint = Checkpoint.open(folder);
    assertThat(checkpoint.config().modelType()).isNotEmpty();
    assertThat(checkpoint.config().architectures()).hasSize(1);
    checkpoint.config().quantization();
    if (!checkpoint.config().modelType().equals("deepseek_v4")) {
      checkpoint.config().ropeScaling();
    }
    checkpoint.generationDefaults();
    checkpoint.tokenizerConfig();
    AtomicLong done = new AtomicLong();
    try (Arena arena = Arena.ofConfined();
        CheckpointReader reader = checkpoint.reader(done::addAndGet)) {
      for (TensorInfo tensor : checkpoint.tensors().values()) {
        MemorySegment target = arena.allocate(tensor.byteLength());
        reader.read(tensor, target);
      }
      reader.verify();
    }
    assertThat(done).hasValue(checkpoint.weightBytes());
  }

  @Test
  void theSampleModelIsUnderstood() {
    Path folder = SHARED.resolve("models/sample/fp8");
    Assumptions.assumeTrue(Files.isDirectory(folder), "further goldens are not present");
    Checkpoint checkpoint = Checkpoint.open(folder);

    assertThat(checkpoint.files()).hasSize(2);
    assertThat(checkpoint.config().ropeScaling())
        .isEqualTo(new RopeScaling.Yarn(4, 1024, 32, 1, 1, 1, null, null, true));
    assertThat(checkpoint.config().ropeTheta(1)).isEqualTo(10_000);
    QuantizationConfig quantization = checkpoint.config().quantization();
    assertThat(quantization).isNotNull();
    assertThat(quantization.blockRows()).isEqualTo(128);
    assertThat(quantization.blockCols()).isEqualTo(128);
    assertThat(checkpoint.generationDefaults())
        .isEqualTo(new GenerationDefaults(true, 0.6, 0.95, null, null, null, 0, 2, List.of(1)));
    assertThat(checkpoint.tokenizerConfig().bosToken()).isEqualTo("<｜begin▁of▁sentence｜>");
    assertThat(checkpoint.tokenizerConfig().modelMaxLength()).isEqualTo(4096);
    assertThat(checkpoint.tokenizerConfig().chatTemplate()).contains("<｜User｜>");
    assertThat(checkpoint.file("tokenizer.json", 1 << 20)).hasSize(264_079);
    TensorInfo embedding = checkpoint.tensor("model.embed_tokens.weight");
    assertThat(embedding.dtype()).isEqualTo(SafetensorsDtype.BF16);
    assertThat(embedding.hasShape(4096, 256)).isTrue();
    assertThat(embedding.file()).isEqualTo(folder.resolve("model-00001-of-00002.safetensors"));
  }
}
