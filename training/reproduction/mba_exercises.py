"""Exercises of the MBA em Ciência de Dados: modules II, III, IV and VIII."""

from training.reproduction.course import Document, System, Text

NETWORKS = Document(
    Text(
        "Module II: convolutional neural networks, exercises",
        "Módulo II – Redes Neurais Convolucionais (CNNs): exercícios",
    ),
    "001_8afefdba80e9ed1e",
)
ARCHITECTURES = Document(
    Text(
        "Module III: CNN architectures and training of deep networks, exercises",
        "Módulo III – Arquiteturas de CNNs e treinamento de redes profundas: exercícios",
    ),
    "003_f995c3228e7eacd7",
)
STRATEGIES = Document(
    Text(
        "Module IV: training strategies and transfer learning, assessment",
        "Módulo IV – Estratégias de Treinamento e Transferência de Aprendizado: avaliação",
    ),
    "000_66a6b1e9f8078a4d",
)
TOPICS = Document(
    Text("Module VIII: topics in deep learning, exercises", "Módulo VIII – Tópicos em Deep Learning: exercícios"),
    "002_6c90a8e4e790d781",
)

MBA = (
    System(
        NETWORKS,
        Text("Exercise 6", "Exercício 6"),
        Text("1-D convolutions for 1,024 values", "Convoluções 1-D para 1024 valores"),
        Text(
            "Two convolutional nets take vectors of 1,024 values and answer with one of three classes: A shrinks "
            "them by pooling, B by strides. The exercise asks for layer sizes and the number of parameters.",
            "Duas redes convolucionais recebem vetores de 1024 valores e respondem com uma de três classes: a A "
            "reduz os vetores por pooling, a B pelo passo das convoluções. O exercício pede os tamanhos das camadas "
            "e o número de parâmetros.",
        ),
        Text(
            "The document trains neither net, so there is no printed figure: ours come from synthetic waveforms and "
            "say nothing about measured signals.",
            "O documento não treina nenhuma das redes, pelo que não há valores impressos: os nossos provêm de formas "
            "de onda sintéticas e nada dizem sobre sinais medidos.",
        ),
        Text(
            "6,075 parameters each; A: (256, 32), (64, 8); B: (64, 32), (64, 8).",
            "6075 parâmetros cada; A: (256, 32), (64, 8); B: (64, 32), (64, 8).",
        ),
        names=("conv1d_a", "conv1d_b"),
    ),
    System(
        NETWORKS,
        Text("Exercise 7", "Exercício 7"),
        Text("Asymmetric convolutions, 1024×1024", "Convoluções assimétricas, 1024×1024"),
        Text(
            "A net of four convolutions, two of them 1×3 and 3×1, and global average pooling takes a matrix of "
            "1024×1024 values. The exercise asks for the output size of each layer.",
            "Uma rede com quatro convoluções, duas delas de 1×3 e 3×1, e global average pooling recebe uma matriz de "
            "1024×1024 valores. O exercício pede o tamanho da saída de cada camada.",
        ),
        Text(
            "The document trains nothing here, so there is no printed figure: we train the net as an image encoder "
            "on generated textures.",
            "Aqui o documento não treina nada, pelo que não há valores impressos: treinamos a rede como codificador "
            "de imagens com texturas geradas.",
        ),
        Text(
            "92,736 parameters; (512, 512, 32), (512, 256, 64), (256, 256, 64), (85, 85, 128), (128).",
            "92 736 parâmetros; (512, 512, 32), (512, 256, 64), (256, 256, 64), (85, 85, 128), (128).",
        ),
        names=("conv2d_1024",),
    ),
    System(
        NETWORKS,
        Text("Exercises 8 and 9", "Exercícios 8 e 9"),
        Text("CIFAR-100 with four convolutions", "CIFAR-100 com quatro convoluções"),
        Text(
            "The net of exercise 7 is adapted to the colour pictures of CIFAR-100 and gets an output layer for 100 "
            "classes. It trains for 8 epochs with SGD (0.05) and batches of 100; the question is whether it has "
            "converged and how much better than a guess it is.",
            "A rede do exercício 7 é adaptada às imagens a cores do CIFAR-100 e recebe uma camada de saída para 100 "
            "classes. Treina durante 8 épocas com SGD (0,05) e lotes de 100; pergunta-se se convergiu e quão melhor "
            "é do que um palpite ao acaso.",
        ),
        Text(
            "The loss still falls by .07 an epoch at the end, so another order of the pictures and other random "
            "numbers shift it by that much: three runs of ours gave test accuracies of .1262, .1288 and .1311.",
            "No fim, a perda ainda desce 0,07 por época, pelo que outra ordem das imagens e outros números "
            "aleatórios a deslocam nessa medida: três execuções nossas deram exatidões no teste de 0,1262, 0,1288 e "
            "0,1311.",
        ),
        Text(
            "106,212 parameters; (16, 16, 32), (16, 8, 64), (8, 8, 64), (2, 2, 128).",
            "106 212 parâmetros; (16, 16, 32), (16, 8, 64), (8, 8, 64), (2, 2, 128).",
        ),
        names=("cifar100_shallow",),
    ),
    System(
        NETWORKS,
        Text("Exercise 10", "Exercício 10"),
        Text("CIFAR-100 with six convolutions", "CIFAR-100 com seis convoluções"),
        Text(
            "The net of exercises 8 and 9 gets two more asymmetric convolutions and trains for 16 epochs. The "
            "question compares with the smaller net how far the loss falls up to epoch 8, and the test accuracy.",
            "A rede dos exercícios 8 e 9 recebe mais duas convoluções assimétricas e treina durante 16 épocas. A "
            "pergunta compara com a rede menor quanto desce a perda até à época 8, e a exatidão no teste.",
        ),
        Text(
            "As before, the loss still falls at the end, so other random numbers shift both figures: two runs of "
            "ours gave test accuracies of .2697 and .2708.",
            "Tal como antes, no fim a perda ainda desce, pelo que outros números aleatórios deslocam os dois valores: "
            "duas execuções nossas deram exatidões no teste de 0,2697 e 0,2708.",
        ),
        Text("130,916 parameters.", "130 916 parâmetros."),
        names=("cifar100_deep",),
    ),
    System(
        ARCHITECTURES,
        Text("Exercises 1 and 3", "Exercícios 1 e 3"),
        Text("Four losses", "Quatro funções de perda"),
        Text(
            "Logistic regression is fitted to ten given points, and its squared, cross-entropy, 0-1 and hinge losses "
            "are compared. Exercise 3 asks for cross-entropy and squared error of a uniform guess over five classes.",
            "Ajusta-se uma regressão logística a dez pontos dados e comparam-se as perdas quadrática, de entropia "
            "cruzada, 0-1 e hinge. O exercício 3 pede a entropia cruzada e o erro quadrático de um palpite uniforme "
            "entre cinco classes.",
        ),
        Text(
            "There is no difference beyond rounding: all figures equal the printed ones in four decimals.",
            "Não há diferença além do arredondamento: todos os valores coincidem com os impressos até à quarta casa "
            "decimal.",
        ),
        Text("The six losses below, and those of each point.", "As seis perdas abaixo e as de cada ponto."),
        names=("losses",),
    ),
    System(
        ARCHITECTURES,
        Text("Exercise 5", "Exercício 5"),
        Text("Coarse and fine search", "Procura grosseira e fina"),
        Text(
            "The advised practice is a coarse search on few examples over optimiser, learning rate, momentum and batch "
            "size, then a finer one on more. The study does this with the net of exercise 7.",
            "A prática aconselhada é uma procura grosseira com poucos exemplos sobre otimizador, taxa de aprendizagem, "
            "momentum e tamanho do lote, e depois uma mais fina com mais. O estudo fá-lo com a rede do exercício 7.",
        ),
        Text(
            "The document prints no figures, so there is nothing to compare; the trials are measured on rows that are "
            "held out from the training part.",
            "O documento não imprime valores, pelo que não há nada a comparar; as tentativas são medidas em linhas "
            "reservadas do conjunto de treino.",
        ),
        names=("coarse_to_fine",),
    ),
    System(
        ARCHITECTURES,
        Text("Exercise 7", "Exercício 7"),
        Text("Boston Housing, learning rate", "Boston Housing, taxa de aprendizagem"),
        Text(
            "A dense net of 16, 8 and 1 units estimates house values in 50 epochs. A uses Adam as it is; B starts at "
            "a learning rate of 0.02 and multiplies it by exp(−0.05) each epoch from epoch 10 on.",
            "Uma rede densa de 16, 8 e 1 unidades estima o valor de casas em 50 épocas. A usa o Adam tal como vem; B "
            "começa com uma taxa de aprendizagem de 0,02 e multiplica-a por exp(−0,05) em cada época a partir da "
            "época 10.",
        ),
        Text(
            "B has smaller errors than A, as printed; with 404 rows, other random numbers explain the rest. Do not "
            "value houses with it: one column encodes the share of Black residents.",
            "B tem erros menores do que A, como no documento; com 404 linhas, outros números aleatórios explicam o "
            "resto. Não avalie casas com este modelo: uma das colunas codifica a percentagem de residentes negros.",
        ),
        Text(
            "369 parameters; the printed learning rates, .0200 … .0028.",
            "369 parâmetros; as taxas de aprendizagem impressas, 0,0200 … 0,0028.",
        ),
        names=("boston_default", "boston_decay", "learning_rate_decay"),
    ),
    System(
        ARCHITECTURES,
        Text("Exercise 8", "Exercício 8"),
        Text("Boston Housing, batch size", "Boston Housing, tamanho do lote"),
        Text(
            "The same net trains with batches of 2 to 256 for ⌊log2(512·batch)⌋ epochs, with Adam at 0.02 and a "
            "decay of exp(−0.1) from epoch 6 on. The question is which two batch sizes have the best and the worst "
            "test error.",
            "A mesma rede treina com lotes de 2 a 256 durante ⌊log2(512·lote)⌋ épocas, com Adam a 0,02 e decaimento "
            "de exp(−0,1) a partir da época 6. Pergunta-se que dois tamanhos de lote têm o melhor e o pior erro no "
            "teste.",
        ),
        Text(
            "Batches of 4 are the best and batches of 256 the worst, as printed; the band in the plot shows how much "
            "the seed alone changes the error.",
            "Os lotes de 4 são os melhores e os de 256 os piores, como no documento; a faixa no gráfico mostra "
            "quanto o erro muda só com a semente.",
        ),
        Text("10 … 17 epochs.", "10 … 17 épocas."),
        names=("batch_size",),
    ),
    System(
        ARCHITECTURES,
        Text("Exercise 10", "Exercício 10"),
        Text("Inception and residual net, 800 pictures", "Rede Inception e rede residual, 800 imagens"),
        Text(
            "Two Inception-V1 modules and three residual blocks are trained on the first 800 pictures of "
            "Fashion-MNIST. Both nets train for 100 epochs with SGD (0.05, momentum 0.8) and batches of 64; loss and "
            "accuracy on training and test set are compared.",
            "Dois módulos Inception-V1 e três blocos residuais são treinados com as primeiras 800 imagens do "
            "Fashion-MNIST. As duas redes treinam durante 100 épocas com SGD (0,05, momento 0,8) e lotes de 64; "
            "comparam-se perda e exatidão nos conjuntos de treino e de teste.",
        ),
        Text(
            "The conclusion is the same: the residual net fits its 800 pictures perfectly and overfits, the "
            "Inception net does not fit them fully; so few pictures leave much to chance.",
            "A conclusão é a mesma: a rede residual ajusta-se perfeitamente às 800 imagens e sofre de sobreajuste, a "
            "Inception não se ajusta por completo; tão poucas imagens deixam muito ao acaso.",
        ),
        Text("196,154 and 186,058 parameters.", "196 154 e 186 058 parâmetros."),
        names=("fashion_inception", "fashion_resnet"),
    ),
    System(
        STRATEGIES,
        Text("Question 4", "Questão 4"),
        Text("Fashion-MNIST with separable convolutions", "Fashion-MNIST com convoluções separáveis"),
        Text(
            "A net with augmentation, one plain and two separable convolutions, batch normalisation and dropout "
            "tells the ten kinds of clothing of Fashion-MNIST apart. It trains for 7 epochs with Adam (0.002) and "
            "batches of 16; the question asks for its answers to the test pictures 10 to 14.",
            "Uma rede com aumento de dados, uma convolução simples e duas separáveis, normalização por lotes e "
            "dropout distingue os dez tipos de roupa do Fashion-MNIST. Treina durante 7 épocas com Adam (0,002) e "
            "lotes de 16; a questão pede as suas respostas às imagens de teste 10 a 14.",
        ),
        Text(
            "We follow the printed summary, whose first convolution has stride 2, although the printed code shows "
            "none; the rest is due to other random numbers.",
            "Seguimos o resumo impresso, em que a primeira convolução tem passo 2, embora o código impresso não o "
            "mostre; o resto deve-se a outros números aleatórios.",
        ),
        Text(
            "25,674 parameters, 25,418 of them trainable; 14×14 after the first convolution, then 7×7 and 4×4.",
            "25 674 parâmetros, 25 418 deles treináveis; 14×14 após a primeira convolução, depois 7×7 e 4×4.",
        ),
        names=("fashion_cnn",),
    ),
    System(
        STRATEGIES,
        Text("Question 5", "Questão 5"),
        Text("MNIST by transfer", "MNIST por transferência"),
        Text(
            "The trained net of question 4 gets a new output layer and learns the digits of MNIST, with no layer "
            "frozen. It trains for 3 epochs with Adam (0.002) and batches of 16; the question asks in which of four "
            "ranges the test accuracy lies.",
            "A rede treinada na questão 4 recebe uma nova camada de saída e aprende os algarismos do MNIST, sem "
            "nenhuma camada congelada. Treina durante 3 épocas com Adam (0,002) e lotes de 16; a questão pergunta em "
            "qual de quatro intervalos fica a exatidão no teste.",
        ),
        Text(
            "The document marks none of its four ranges as the answer; ours is in the range 0.98–1.00.",
            "O documento não assinala nenhum dos quatro intervalos como resposta; a nossa fica no intervalo 0,98–1,00.",
        ),
        Text("25,674 parameters.", "25 674 parâmetros."),
        names=("mnist_transfer",),
    ),
    System(
        TOPICS,
        Text("Exercise 4", "Exercício 4"),
        Text("Fashion-MNIST embedding", "Representação (embedding) do Fashion-MNIST"),
        Text(
            "A net with a dense layer of 64 values, the embedding, learns to classify the first 10,000 pictures of "
            "Fashion-MNIST in 20 epochs. Contrastive and triplet loss of the embeddings of the first 50 pictures are "
            "compared before and after.",
            "Uma rede com uma camada densa de 64 valores, o embedding, aprende a classificar as primeiras 10 000 "
            "imagens do Fashion-MNIST em 20 épocas. Comparam-se as perdas contrastiva e tripla (triplet) dos "
            "embeddings das primeiras 50 imagens, antes e depois.",
        ),
        Text(
            "Fifty pictures and random initial weights make these losses vary much from run to run; here, too, the "
            "triplet loss falls further than the contrastive one.",
            "Cinquenta imagens e pesos iniciais aleatórios fazem estas perdas variar muito de execução para "
            "execução; também aqui a perda tripla desce mais do que a contrastiva.",
        ),
        Text(
            "72,842 parameters; sizes 13, 6, 2, 256, 64; both losses equal those of the document's loops.",
            "72 842 parâmetros; tamanhos 13, 6, 2, 256, 64; ambas as perdas iguais às dos ciclos do documento.",
        ),
        names=("fashion_embedding",),
    ),
)
